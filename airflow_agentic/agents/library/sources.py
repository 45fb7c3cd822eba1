"""
Load the documents that a run is about.

A source is a text: a file or folder (below ``[agentic] source_roots``), an http(s) URL (never into the private
network, unless ``[agentic] private_hosts`` allows), or ``dist:NAME``, what an installed distribution says of itself
(``dist:NAME/path``: a document among its files).

What must not be read stops everything: a path outside the roots, a private address, another scheme, a document above
``[agentic] max_source_bytes``. What merely can't be had (a missing file, a server that doesn't answer, a scan
without text) is left out and reported in ``skipped``, as long as ``required`` others were loaded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_agentic import config
from airflow_agentic.agents.library.reading import distributions, files, formats, web
from airflow_agentic.agents.library.reading.document import Document, UnreadableError
from airflow_agentic.agents.library.reading.hosts import HostPolicy
from airflow_agentic.errors import FinalError, RetryableError

_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    uri: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class _Skipped:
    uri: str
    reason: str
    transient: bool = False


_Outcome = _Loaded | _Skipped


async def load(
    sources: list[str], *, required: int = 1, timeout: float = 30.0, max_sources: int = 200
) -> dict[str, Any]:
    """
    Load sources and read them as text.

    :param sources: files, folders, http(s) URLs, ``dist:NAME`` and ``dist:NAME/path``.
    :param required: how many documents must have been loaded at least.
    :param timeout: seconds for one URL, redirects included.
    :param max_sources: how many documents a run may be about, those in folders included.
    :returns: ``sources``, each with ``id`` (``s1``, ``s2``, … in the order given), ``title``, ``uri``, ``text`` (see
        :mod:`airflow_agentic.agents.library.reading.document`) and ``characters``; ``skipped``, each with ``uri`` and
        ``reason``; ``characters`` in all.
    :raises FinalError: a source must not be read, or fewer than ``required`` can be.
    :raises RetryableError: fewer than ``required`` were loaded, and some may be had later.
    """
    named = _named(sources, max_sources)
    policy = HostPolicy.configured()
    # everything that shows without a network is refused before the first request
    urls = {uri: web.check_url(uri, policy) for uri in named if _is_url(uri)}
    max_bytes, turn = config.get_int("max_source_bytes"), asyncio.Semaphore(_AT_ONCE)
    for uri in named:
        if uri not in urls and not uri.startswith(distributions.PREFIX):
            files.locate(uri)

    async def one(uri: str) -> list[_Outcome]:
        async with turn:
            if uri in urls:
                return [await _from_web(uri, urls[uri], policy, max_bytes, timeout)]
            if uri.startswith(distributions.PREFIX):
                return [await asyncio.to_thread(_from_distribution, uri, max_bytes)]
            return await asyncio.to_thread(_from_disk, uri, max_bytes, max_sources)

    outcomes = [outcome for found in await _all(one, named) for outcome in found]
    return _result(outcomes, required, max_sources)


def folder(folder: str, *, max_documents: int = 200) -> dict[str, Any]:
    """
    The documents in a folder and the folders below it, without reading them.

    :param folder: its path.
    :param max_documents: more are refused.
    :returns: ``documents``, addresses that :func:`load` takes, by name; ``skipped``, each with ``uri`` and ``reason``.
    :raises FinalError: it must not be read, holds too many documents, or there is no such folder.
    """
    path = files.locate(folder)
    if not path.is_dir():
        raise FinalError(f"There is no folder {folder!r}.", kind="rejected")
    found, prefix = files.list_folder(path, limit=max_documents), folder.rstrip("/")
    return {
        "documents": [f"{prefix}/{name}" for name, _ in found.files],
        "skipped": [{"uri": f"{prefix}/{name}", "reason": reason} for name, reason in found.refused],
    }


def _named(sources: list[str], max_sources: int) -> list[str]:
    if isinstance(sources, str) or not all(isinstance(source, str) and source.strip() for source in sources):
        raise FinalError("sources must be a list of texts, none of them empty.", kind="rejected")
    named = list(dict.fromkeys(source.strip() for source in sources))
    if len(named) > max_sources:
        raise FinalError(f"{len(named)} sources are more than max_sources ({max_sources}).", kind="rejected")
    return named


def _is_url(uri: str) -> bool:
    return "://" in uri or uri.lower().startswith(("http:", "https:", "file:", "data:"))


async def _all(one: Any, named: list[str]) -> list[list[_Outcome]]:
    """Load all of them; the first that is refused stops the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(uri)) for uri in named]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _from_web(uri: str, url: Any, policy: HostPolicy, max_bytes: int, timeout: float) -> _Outcome:
    try:
        page = await web.fetch(url, policy=policy, max_bytes=max_bytes, timeout=timeout)
    except web.UnreachableError as error:
        return _Skipped(uri=uri, reason=str(error), transient=error.transient)
    return await asyncio.to_thread(_read, uri, page.data, page.path, page.media_type, page.charset)


def _from_distribution(uri: str, max_bytes: int) -> _Outcome:
    try:
        found = distributions.load(uri, max_bytes=max_bytes)
        document = formats.read(found.data, format=found.format, name=found.name)
    except (LookupError, OSError, UnreadableError) as error:
        return _Skipped(uri=uri, reason=str(error))
    return _Loaded(uri=uri, title=_installed_title(document, found), text=document.text)


def _installed_title(document: Document, found: distributions.Installed) -> str:
    """A description goes by its distribution; another document by its own title and the distribution."""
    return found.label if found.name == found.label else f"{document.title or found.name} ({found.label})"


def _from_disk(uri: str, max_bytes: int, max_sources: int) -> list[_Outcome]:
    path = files.locate(uri)
    if not path.is_dir():
        return [_from_file(uri, path, max_bytes)]
    folder = files.list_folder(path, limit=max_sources)
    prefix = uri.rstrip("/")
    outcomes: list[_Outcome] = [_from_folder(f"{prefix}/{name}", file, max_bytes) for name, file in folder.files]
    outcomes += [_Skipped(uri=f"{prefix}/{name}", reason=reason) for name, reason in folder.refused]
    return outcomes or [_Skipped(uri=uri, reason="the folder holds no documents")]


def _from_folder(uri: str, path: Path, max_bytes: int) -> _Outcome:
    """A file that nobody named: what may not be read of it is left out like what can't be."""
    if path.stat().st_size > max_bytes:
        return _Skipped(uri=uri, reason=f"it is larger than {max_bytes} bytes ([agentic] max_source_bytes)")
    return _from_file(uri, path, max_bytes)


def _from_file(uri: str, path: Path, max_bytes: int) -> _Outcome:
    try:
        data = files.read_bytes(path, max_bytes=max_bytes)
    except FileNotFoundError:
        return _Skipped(uri=uri, reason="there is no such file")
    except OSError as error:
        return _Skipped(uri=uri, reason=f"it can't be read: {error.strerror or error}")
    return _read(uri, data, path.name)


def _read(uri: str, data: bytes, name: str, media_type: str = "", charset: str = "") -> _Outcome:
    try:
        kind = formats.format_of(data, name=name, media_type=media_type)
        document = formats.read(data, format=kind, name=Path(name).stem or name, charset=charset)
    except UnreadableError as error:
        return _Skipped(uri=uri, reason=str(error))
    return _Loaded(uri=uri, title=document.title or uri, text=document.text)


def _result(outcomes: list[_Outcome], required: int, max_sources: int) -> dict[str, Any]:
    loaded = [outcome for outcome in outcomes if isinstance(outcome, _Loaded)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, _Skipped)]
    if len(loaded) > max_sources:
        raise FinalError(f"{len(loaded)} documents are more than max_sources ({max_sources}).", kind="rejected")
    if len(loaded) < required:
        raise _too_few(len(loaded), required, skipped)
    return {
        "sources": [
            {
                "id": f"s{number}",
                "title": source.title,
                "uri": source.uri,
                "text": source.text,
                "characters": len(source.text),
            }
            for number, source in enumerate(loaded, 1)
        ],
        "skipped": [{"uri": source.uri, "reason": source.reason} for source in skipped],
        "characters": sum(len(source.text) for source in loaded),
    }


def _too_few(count: int, required: int, skipped: list[_Skipped]) -> FinalError | RetryableError:
    reasons = "; ".join(f"{source.uri}: {source.reason}" for source in skipped) or "no sources were given"
    message = f"Only {count} of at least {required} sources could be loaded. {reasons}"
    if len(skipped) == required == 1:
        message = f"{skipped[0].uri} can't be read: {skipped[0].reason}."
    if any(source.transient for source in skipped):
        return RetryableError(message, kind="unavailable")
    return FinalError(message, kind="rejected")
