"""
Where the versions of a template bundle are kept for the workers: one archive each, under any fsspec URL.

A version's name is the digest of its content, so an archive is written once, never changed, and checked when it is
read: what a worker runs is what the dag processor made.
"""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_agentic import storage
from airflow_agentic.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The time that every file in an archive has: equal contents give equal archives.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def version_of(files: Mapping[str, bytes]) -> str:
    """The version whose content these files are (relative path → content): 40 hexadecimal digits."""
    digest = sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{sha256(files[path]).hexdigest()}\n".encode())
    return digest.hexdigest()[:40]


class VersionStore:
    """
    The versions of one bundle.

    :param url: any fsspec URL or a local path.
    :raises ConfigError: the URL can't be used.
    """

    def __init__(self, url: str, bundle: str) -> None:
        self.url = url
        try:
            self._filesystem, root = storage.open_url(url)
        except (ValueError, ImportError) as error:
            raise ConfigError(f"[agentic] version_url {url!r} can't be used: {error}") from None
        self._root = f"{root}/{quote(bundle, safe='')}"

    def publish(self, version: str, files: Mapping[str, bytes]) -> None:
        """
        Make a version available, and the latest one.

        :raises OSError: the store can't be written.
        """
        if self.latest() == version:
            return
        archive = f"{self._root}/{version}.zip"
        if not self._filesystem.exists(archive):
            storage.overwrite(self._filesystem, archive, _pack(files))
        storage.overwrite(self._filesystem, f"{self._root}/latest", version.encode())

    def latest(self) -> str | None:
        """The version that was published last; None when none was."""
        try:
            return str(self._filesystem.cat_file(f"{self._root}/latest").decode())
        except FileNotFoundError:
            return None

    def load(self, version: str) -> dict[str, bytes]:
        """
        A version's files: relative path → content.

        :raises ConfigError: this store doesn't have the version, or not as it was published.
        """
        try:
            data = self._filesystem.cat_file(f"{self._root}/{quote(version, safe='')}.zip")
        except FileNotFoundError:
            raise ConfigError(
                f"Version {version} of the templates is not in {self._root}: [agentic] version_url ({self.url}) "
                "must be a place that the dag processor and all workers reach."
            ) from None
        files = _unpack(data)
        if version_of(files) != version:
            raise ConfigError(f"Version {version} of the templates in {self._root} is not what was published.")
        return files


def _pack(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), files[path], zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def _unpack(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if _stays_inside(name)}


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and not name.endswith("/")
