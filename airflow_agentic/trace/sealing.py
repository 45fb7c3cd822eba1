"""
What sealed a run: its manifests, each with the digest beside it.

A run that was cleared and ran again is sealed once more; the later manifest covers the earlier one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import layout
from airflow_agentic.trace.manifest import Manifest, manifest_from_data
from airflow_agentic.trace.values import digest_of

if TYPE_CHECKING:
    from airflow_agentic.trace.run_files import RunFiles

_NAME = re.compile(r"manifest\.([1-9][0-9]{0,8})\.(json|sha256)")
#: A million files come to a third of it.
_MOST_BYTES = 512 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """
    One manifest and what stands beside it.

    :param digest: of the manifest as it is; null when it is missing or can't be read.
    :param told: the digest in the file beside it; null when that is missing, or isn't one.
    :param is_told: whether there is a file beside it.
    :param manifest: null when there is none, or it can't be understood.
    :param problem: why it can't.
    """

    number: int
    digest: str | None
    told: str | None
    is_told: bool
    manifest: Manifest | None
    problem: str | None

    @property
    def path(self) -> str:
        """Of the manifest."""
        return f"manifest.{self.number}.json"

    @property
    def told_by(self) -> str:
        """The path of the file beside it."""
        return f"manifest.{self.number}.sha256"


def sealings_of(files: RunFiles) -> tuple[Sealing, ...]:
    """
    The manifests of a run in their order, also those of which only the digest is left.

    :raises TraceError: they are larger than any run's.
    """
    numbers = {int(found[1]) for path in files.sizes if (found := _NAME.fullmatch(path))}
    names = [name for number in numbers for name in (f"manifest.{number}.json", f"manifest.{number}.sha256")]
    if sum(files.sizes.get(name, 0) for name in names) > _MOST_BYTES:
        raise TraceError(f"The manifests have more than {_MOST_BYTES:,} bytes; they aren't read.")
    read = files.read(name for name in names if files.sizes.get(name, -1) >= 0)
    return tuple(_sealing(number, read) for number in sorted(numbers))


def is_digest(text: str) -> bool:
    """Whether it is a SHA-256 as ``sha256sum`` prints it."""
    return _DIGEST.fullmatch(text) is not None


def _sealing(number: int, read: dict[str, bytes | TraceError]) -> Sealing:
    content, line = read.get(f"manifest.{number}.json"), read.get(f"manifest.{number}.sha256")
    manifest, problem = _parsed(content)
    return Sealing(
        number=number,
        digest=digest_of(content) if isinstance(content, bytes) else None,
        told=_told(number, line) if isinstance(line, bytes) else None,
        is_told=line is not None,
        manifest=manifest,
        problem=problem,
    )


def _told(number: int, line: bytes) -> str | None:
    digest = line[:64].decode("ascii", "replace")
    whole = layout.seal_line(digest, f"manifest.{number}.json").encode()
    return digest if line == whole and is_digest(digest) else None


def _parsed(content: bytes | TraceError | None) -> tuple[Manifest | None, str | None]:
    if content is None:
        return None, "it is missing"
    if isinstance(content, TraceError):
        return None, str(content)
    try:
        manifest = manifest_from_data(json.loads(content.decode("utf-8", "surrogatepass")))
        _check(manifest)
    except (ValueError, TypeError, AttributeError, RecursionError, TraceError) as error:
        return None, f"it can't be understood: {error}"
    return manifest, None


def _check(manifest: Manifest) -> None:
    """
    Does each entry name a file, its digest and its size?

    :raises ValueError: no.
    """
    for entry in manifest.records:
        texts = isinstance(entry, dict) and isinstance(entry.get("path"), str) and isinstance(entry.get("sha256"), str)
        if not texts or not is_digest(entry["sha256"]) or not isinstance(entry.get("bytes"), int):
            raise ValueError("an entry of its records is none")
