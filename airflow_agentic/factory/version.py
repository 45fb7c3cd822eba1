"""
What a version of the template bundle consists of, made from a folder of templates.

Nothing of the time, the machine or the order of files goes into it: equal folders give equal versions.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic import __version__
from airflow_agentic.errors import TemplateError
from airflow_agentic.factory import find, generated
from airflow_agentic.factory.load import FAILED, duplicate, plan_in
from airflow_agentic.planning.plan import PLAN_FORMAT
from airflow_agentic.template.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

#: Without this word a template has no other one in it.
_PIPELINE = "pipeline"
#: How the DAG files of templates end.
GENERATED = (".yaml.py", ".yml.py")
#: Modules beside the templates come along, but Airflow is to parse only what was generated.
IGNORE = {
    "glob": "*.py\n*.json\n!*.yaml.py\n!*.yml.py\n",
    "regexp": "^(?!.*\\.ya?ml\\.py$).*\\.(py|json)$\n",
}


@dataclass(frozen=True, kw_only=True)
class Folder:
    """
    A folder of templates, as it was read.

    :param templates: by path.
    :param modules: the Python modules beside the templates, by path.
    :param others: digest of the other YAML files, which templates may include.
    """

    root: Path
    templates: dict[str, find.Candidate]
    modules: dict[str, bytes]
    others: str

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides what the folder's version is; means something on this machine only."""
        return _digest(self.modules, f"{_code()}\0{self.whole}")

    @cached_property
    def whole(self) -> str:
        """Digest of all YAML files."""
        return _digest({path: candidate.content for path, candidate in self.templates.items()}, self.others)

    def around(self, path: str) -> str:
        """Digest of the files that the plan of a template may depend on, beside its own."""
        # Which other templates it has as pipelines, and those have, is known only when all of them can be read.
        return self.whole if _PIPELINE in find.as_text(self.templates[path].content) else self.others


def read_folder(root: Path) -> Folder:
    """Read a folder of templates; a file that can't be read has no content."""
    others = sha256()
    templates: dict[str, find.Candidate] = {}
    for path in find.files(root, find.SUFFIXES):
        candidate = find.read_candidate(root, path)
        if candidate is not None:
            templates[path] = candidate
        else:
            others.update(f"{path}\0{sha256(_content(root / path)).hexdigest()}\n".encode())
    modules = {path: _content(root / path) for path in find.files(root, (".py",)) if not path.endswith(GENERATED)}
    return Folder(root=root, templates=templates, modules=modules, others=others.hexdigest())


def _digest(contents: Mapping[str, bytes], first: str) -> str:
    digest = sha256(f"{first}\n".encode())
    for path in sorted(contents):
        digest.update(f"{path}\0{sha256(contents[path]).hexdigest()}\n".encode())
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        log.warning("%s can't be read: %s", path, error)
        return b""


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What became of one template: its name, if it has a plan, and what stands beside its DAG file."""

    name: str | None
    body: bytes


class VersionMaker:
    """Makes the files of one version after the other, and plans again only what changed in between."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bytes, str], _Made] = {}

    def files(self, folder: Folder) -> dict[str, bytes]:
        """The content of the folder's version: relative path → content."""
        made: dict[str, _Made] = {}
        kept: dict[tuple[str, bytes, str], _Made] = {}
        for path, candidate in folder.templates.items():
            key = (path, candidate.content, folder.around(path))
            kept[key] = made[path] = self._made.get(key) or _make(folder.root, path)
        self._made = kept
        files = {**folder.modules, ".airflowignore": _ignore()}
        for path, owner in find.duplicates({path: one.name for path, one in made.items() if one.name}).items():
            problem = duplicate(folder.templates[path], str(made[path].name), shown=path, owner=owner)
            made[path] = _Made(name=None, body=generated.problems_file(TemplateError([problem])))
        for path, one in made.items():
            files[f"{path}.py"] = generated.code(path, folder.templates[path].content)
            files[f"{path}.json"] = one.body
        return files


def _make(root: Path, path: str) -> _Made:
    """Plan one template. Whatever happens, the other templates are none the worse for it."""
    try:
        plan = plan_in(root, path)
    except TemplateError as error:
        return _Made(name=None, body=generated.problems_file(error))
    except Exception as error:
        log.exception("The template %s can't be planned", root / path)
        message = f"this template can't be planned ({type(error).__name__}: {error}); the log has more"
        problem = Problem(code=FAILED, message=message, path=path, line=1, column=1)
        return _Made(name=None, body=generated.problems_file(TemplateError([problem])))
    return _Made(name=plan.name, body=generated.plan_file(plan))


@lru_cache(maxsize=1)
def _code() -> str:
    """Which code makes plans: an upgrade, or a developer's edit, makes all of them anew."""
    folder = Path(__file__).parent.parent
    files = sorted(path for part in ("template", "planning", "factory") for path in (folder / part).rglob("*.py"))
    return " ".join([__version__, str(PLAN_FORMAT), *(f"{path.stat().st_mtime_ns}" for path in files)])


def _ignore() -> bytes:
    from airflow.sdk.configuration import conf

    return IGNORE[conf.get("core", "dag_ignore_file_syntax", fallback="glob")].encode()
