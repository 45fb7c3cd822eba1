"""
A DAG bundle of templates: each template is a DAG file of its own to Airflow, and every edit is a version.

Airflow lists only ``.py`` files and archives, and a file that makes DAGs of many templates has one error for all of
them. So the bundle writes a ``.py`` file per template (see :mod:`airflow_agentic.factory.generated`): each has its own
import error, its own YAML in the Code tab and its own parse. Because the content of all these files is the version, a
run goes on with the templates that it started with while they are edited.

On disk, below Airflow's ``[dag_processor] dag_bundle_storage_path``::

    <bundle>/current -> heads/…         what the dag processor parses; the link changes, the path never does
    <bundle>/versions/<version>/        what a task of that version runs, fetched from the version store

``current`` keeps one path for all versions because the dag processor remembers paths: one that it queued before a
refresh and parses after it would otherwise be an old DAG stored under the new version.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion

from airflow_agentic import config
from airflow_agentic.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.factory.store import VersionStore

log = logging.getLogger(__name__)

#: Seconds. A changed file is dated that much after its refresh: the dag processor parses a file again whose date is
#: after the end of its last parse, so a parse that was going on during the refresh isn't the last word.
_SETTLE = 3.0
#: Which version ``current`` is, and of what; a part of what the link is to, so that both change at once.
_STATE = ".version.json"


class TemplateDagBundle(BaseDagBundle):
    """
    The templates of a folder, and of the folders in it.

    Configured as any DAG bundle::

        [{"name": "templates", "classpath": "airflow_agentic.factory.bundle.TemplateDagBundle",
          "kwargs": {"path": "/srv/templates", "refresh_interval": 30}}]

    Set ``[core] min_serialized_dag_update_interval`` to 0 with it: otherwise a run that is triggered soon after two
    edits gets the new files but the tasks of the old DAG.

    :param path: the folder. Workers don't need it.
    :param version_url: where versions are kept for the workers; default ``[agentic] version_url``.
    :param refresh_interval: seconds between two looks at the folder.
    """

    supports_versioning = True

    def __init__(self, *, path: str, version_url: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._folder = Path(path).expanduser()
        self._version_url = version_url
        self._maker: Any = None

    @property
    def path(self) -> Path:
        """Where Airflow finds the DAG files of this bundle's version."""
        return self.versions_dir / self.version if self.version else self.base_dir / "current"

    def initialize(self) -> None:
        """
        Make sure that the DAG files are there.

        :raises ConfigError: neither the folder nor the version store has them.
        """
        if self.version:
            self._fetch(self.version)
        elif self._folder.is_dir():
            _warn_of_late_dags()
            self.refresh()
        else:
            self._fetch_latest()
        super().initialize()

    def refresh(self) -> None:
        """
        Bring the DAG files up to date with the folder.

        :raises ConfigError: there is no such folder.
        """
        from airflow_agentic.factory.version import VersionMaker, read_folder

        if not self._folder.is_dir():
            raise ConfigError(f"The bundle {self.name!r} has no folder of templates at {self._folder}.")
        with self.lock():
            folder = read_folder(self._folder.resolve())
            state = self._state()
            if state.get("fingerprint") == folder.fingerprint:
                return
            self._maker = self._maker or VersionMaker()
            self._switch(self._maker.files(folder), folder.fingerprint)

    def get_current_version(self) -> BundleVersion | None:
        """The version that :attr:`path` holds; None before there is any."""
        version = self.version or self._state().get("version")
        return BundleVersion(version) if version else None

    def _store(self) -> VersionStore:
        from airflow_agentic.factory.store import VersionStore

        return VersionStore(self._version_url or config.get("version_url"), self.name)

    def _fetch(self, version: str) -> None:
        """Get a version from the store, unless it is here."""
        target = self.versions_dir / version
        if target.exists():
            return
        with self.lock():
            if not target.exists():
                self.versions_dir.mkdir(parents=True, exist_ok=True)
                _write(self._store().load(version), self.versions_dir).rename(target)

    def _fetch_latest(self) -> None:
        """Where the templates are not: what the dag processor published last."""
        store = self._store()
        version = store.latest()
        if version is None:
            raise ConfigError(
                f"The bundle {self.name!r} has no folder of templates at {self._folder}, "
                f"and the version store {store.url} has no version of it."
            )
        with self.lock():
            if self._state().get("version") != version:
                self._switch(store.load(version), fingerprint=None)

    def _switch(self, files: Mapping[str, bytes], fingerprint: str | None) -> None:
        """Publish a version, then make it the current one."""
        from airflow_agentic.factory.store import version_of

        version = version_of(files)
        if fingerprint is not None:
            self._store().publish(version, files)
        heads = self.base_dir / "heads"
        heads.mkdir(parents=True, exist_ok=True)
        head = _write(files, heads)
        _date(head, files, self.path)
        (head / _STATE).write_text(json.dumps({"version": version, "fingerprint": fingerprint}))
        _replace_link(self.path, head)
        for old in heads.iterdir():
            if old != head:
                shutil.rmtree(old, ignore_errors=True)

    def _state(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self.path / _STATE).read_text()))
        return {}


def _warn_of_late_dags() -> None:
    """The one setting without which an edit can go wrong: see :class:`TemplateDagBundle`."""
    seconds = conf.getint("core", "min_serialized_dag_update_interval")
    if seconds > 0:
        log.warning(
            "[core] min_serialized_dag_update_interval is %d: set it to 0. Until then, a run that is triggered soon "
            "after edits may have the new template's files with the tasks of an older one, and fails.",
            seconds,
        )


def _write(files: Mapping[str, bytes], parent: Path) -> Path:
    """Write files into a new folder, readable by whomever tasks run as."""
    folder = Path(tempfile.mkdtemp(dir=parent))
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    folder.chmod(0o755)
    return folder


def _date(head: Path, files: Mapping[str, bytes], former: Path) -> None:
    """Date the DAG files, so that the dag processor parses at once what changed, and only that."""
    changed = {path for path, content in files.items() if not _is(former / path, content)}
    modules_changed = any(path.endswith(".py") and f"{path[:-3]}.json" not in files for path in changed)
    later = time.time() + _SETTLE
    for path in files:
        is_new = modules_changed or path in changed or f"{path[:-3]}.json" in changed
        date = later if is_new else (former / path).stat().st_mtime
        os.utime(head / path, (date, date))


def _is(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _replace_link(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target, target_is_directory=True)
    temporary.replace(link)
