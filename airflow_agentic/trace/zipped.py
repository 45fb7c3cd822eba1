"""
Reading and writing the archives that audit bundles are.

A bundle may come from anybody: what is strange about the archive itself is found before anything in it is read, and
nothing is ever unpacked to disk. Those that are written have the same bytes wherever and whenever that is done, so
their files are stored, not compressed: programs that compress differ.
"""

from __future__ import annotations

import io
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.findings import added, altered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from airflow_agentic.trace.findings import Finding

#: What is refused, because reading it would take all day: many small files, or few large ones.
MOST_MEMBERS = 200_000
MOST_BYTES = 8 << 30
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER = 30
_DESCRIPTOR = 24
_END = 22
#: The field of a header in which some programs look for another name than the one that all others show.
_OTHER_NAME = 0x7075
_IS_DESCRIBED = 0x08
_IS_ENCRYPTED = 0x01
_BAD = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class Archive:
    """
    An archive that somebody gave us, opened.

    :param path: of its file.
    :raises TraceError: it is no archive, or one that can't be read within bounds.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise TraceError(f"There is no file {path}.") from None
        except (OSError, *_BAD) as error:
            raise TraceError(f"{path} is no zip archive that can be read: {error}") from None
        self._path = path
        try:
            self._check_bounds()
        except TraceError:
            self._zip.close()
            raise
        self._infos = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file by its name, sorted; -1 for what is no file."""
        return {name: _size(self._infos[name]) for name in sorted(self._infos)}

    def open(self, name: str) -> BinaryIO:
        """
        A file, to be read in parts.

        :raises OSError: it isn't there, or is damaged; reading it raises this, too.
        """
        if name not in self._infos or _size(self._infos[name]) < 0:
            raise FileNotFoundError(f"there is no {name}")
        try:
            return io.BufferedReader(_Checked(self._zip.open(self._infos[name])))
        except _BAD as error:
            raise OSError(str(error)) from None

    def read(self, name: str) -> bytes:
        """
        A file's content.

        :raises OSError: it isn't there, or is damaged.
        """
        with self.open(name) as opened:
            return opened.read()

    def oddities(self) -> Iterator[Finding]:
        """What is strange about the archive, whatever its files say."""
        names = Counter(info.filename for info in self._zip.infolist())
        folded = Counter(name.casefold() for name in names)
        for name, count in names.items():
            if count > 1:
                yield added(name, f"the archive has it {count} times; programs differ in which of them they show")
            elif folded[name.casefold()] > 1:
                yield added(name, "another name differs only in upper and lower case; some systems show one of them")
        for info in self._zip.infolist():
            if problem := _problem(info):
                yield added(info.filename, problem)
        yield from self._loose_bytes()

    def _check_bounds(self) -> None:
        infos = self._zip.infolist()
        total = sum(info.file_size for info in infos)
        if len(infos) > MOST_MEMBERS or total > MOST_BYTES:
            raise TraceError(
                f"{self._path} has {len(infos):,} files of {total:,} bytes; more than {MOST_MEMBERS:,} files or "
                f"{MOST_BYTES:,} bytes aren't read."
            )
        if sum(info.compress_size for info in infos) > self._path.stat().st_size:
            raise TraceError(f"{self._path}: its files overlap in the archive.")
        for info in infos:
            if info.compress_type not in _METHODS or info.flag_bits & _IS_ENCRYPTED:
                raise TraceError(f"{self._path}: {info.filename} is encrypted, or packed in a way that isn't read.")

    def _loose_bytes(self) -> Iterator[Finding]:
        """What lies before, between and behind the files, and is shown by no program."""
        end = 0
        with self._path.open("rb") as raw:
            for info in sorted(self._zip.infolist(), key=lambda info: info.header_offset):
                if not end <= info.header_offset <= end + (_DESCRIPTOR if end else 0):
                    yield altered(info.filename, "bytes that belong to no file lie before it in the archive")
                raw.seek(info.header_offset + _HEADER - 4)
                lengths = raw.read(4)
                named, more = int.from_bytes(lengths[:2], "little"), int.from_bytes(lengths[2:], "little")
                raw.seek(named, io.SEEK_CUR)
                if any(_OTHER_NAME in _fields(extra) for extra in (raw.read(more), info.extra)):
                    yield added(info.filename, "it has a second name, which some programs show instead")
                end = info.header_offset + _HEADER + named + more + info.compress_size
            raw.seek(-_END, io.SEEK_END)
            ends_well = raw.read()[:4] == b"PK\x05\x06"
        start: int = self._zip.start_dir
        if not end <= start <= end + _DESCRIPTOR or not ends_well:
            yield altered(self._path.name, "the archive holds bytes that belong to no file")


class _Checked(io.RawIOBase):
    """A file of an archive whose damage is told as that of other files is."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except _BAD as error:
            raise OSError(str(error)) from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


def write_archive(target: BinaryIO, members: Mapping[str, tuple[int, Iterable[bytes]]]) -> None:
    """
    Write an archive.

    :param target: a new file.
    :param members: name → how many bytes, and these in parts, each read once, in this order.
    :raises TraceError: a content hasn't its size any more.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, (size, content) in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            info.file_size = size
            with archive.open(info, "w") as opened:
                written = sum(opened.write(part) for part in content)
            if written != size:
                raise TraceError(f"{name} changed while it was copied: it had {size} bytes, then {written}.")


def _size(info: zipfile.ZipInfo) -> int:
    kind = stat.S_IFMT(info.external_attr >> 16)
    return info.file_size if kind in (0, stat.S_IFREG) else -1


def _fields(extra: bytes) -> set[int]:
    """The kinds of the fields that a header has beside the usual ones."""
    found = set()
    while len(extra) >= 4:
        found.add(int.from_bytes(extra[:2], "little"))
        extra = extra[4 + int.from_bytes(extra[2:4], "little") :]
    return found


def _problem(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with a name, or with what it names."""
    name = info.filename.removesuffix("/") if info.is_dir() else info.filename
    if info.orig_filename != info.filename or any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        return "its name holds control characters"
    if (
        "\\" in name
        or name.startswith("/")
        or name[1:2] == ":"
        or any(part in ("", ".", "..") for part in name.split("/"))
    ):
        return "its name leads out of the folder that the archive is unpacked to"
    if info.is_dir():
        return None if info.file_size == 0 else "it is a folder with a content"
    return "it is no file, but a link or a device" if _size(info) < 0 else None
