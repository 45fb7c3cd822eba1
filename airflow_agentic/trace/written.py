"""
Artifacts where they were written, read with care.

Where an artifact is, its record says; and whoever may write into the trace store may write records. So nothing is asked
that no artifact of ours can be in (a web server, say, which only the api-server reaches), nothing is read that is no
file (a device never ends, a pipe never begins), and never more than the record says that there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic import config, storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.trace.record import ArtifactRecord

#: What is on this machine; other kinds of stores are asked where they are configured.
_OWN = ("file", "memory")
_CONFIGURED = ("artifact_url", "trace_url")
#: Bytes of an artifact that is read whole.
_MOST_WHOLE = 256 << 20
_PART = 1 << 20


def written_content(record: ArtifactRecord) -> bytes:
    """
    What is now at an artifact's URI; of more than was written, only one byte more.

    :raises OSError, ValueError, ImportError: it can't be read.
    """
    filesystem, path, size = _file(record.uri)
    end = min(size, record.bytes + 1)
    if end > _MOST_WHOLE:
        raise OSError(f"it has more than {_MOST_WHOLE:,} bytes")
    content: bytes = filesystem.cat_file(path, end=end) if end > 0 else b""
    return content


def written_parts(uri: str) -> Iterator[bytes]:
    """
    The same in parts, of any size.

    :raises OSError, ValueError, ImportError: it can't be read.
    """
    filesystem, path, left = _file(uri)
    with filesystem.open(path, "rb") as opened:
        while left > 0 and (part := opened.read(min(left, _PART))):
            left -= len(part)
            yield part


def _file(uri: str) -> tuple[Any, str, int]:
    """The file system, the path and the size of a file."""
    _check_kind(uri)
    filesystem, path = storage.open_url(uri)
    found = filesystem.info(path)
    if found["type"] != "file" or found["size"] is None:
        raise OSError("it is no file")
    return filesystem, path, int(found["size"])


def _check_kind(uri: str) -> None:
    """
    May an artifact be in a store of this kind?

    :raises OSError: no.
    """
    if "::" in uri:
        raise OSError("it is a place inside of another one")
    kinds = {_class(protocol) for protocol in _OWN} | {_class(_protocol(config.get(name))) for name in _CONFIGURED}
    if _class(_protocol(uri)) not in kinds:
        raise OSError("only stores of the kinds that [agentic] artifact_url and trace_url name are asked")


def _protocol(url: str) -> str:
    from fsspec.core import split_protocol  # type: ignore[import-untyped]

    protocol, _ = split_protocol(url.rpartition("::")[2])
    return str(protocol or "file")


def _class(protocol: str) -> Any:
    """One kind may have several names."""
    from fsspec import get_filesystem_class  # type: ignore[import-untyped]

    return get_filesystem_class(protocol)
