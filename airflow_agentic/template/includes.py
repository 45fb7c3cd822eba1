"""Files that hold agents for several templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.reader import Reader
from airflow_agentic.template.source import read_source, to_data

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.template.source import Loc


def read_includes(
    reader: Reader, names: list[str], path: Path, root: Path, files: dict[str, str]
) -> dict[str, tuple[Reader, Any]]:
    """
    The included files' agents' data by name, each with the reader of its file.

    :param path: of the template, which the names are relative to.
    :param root: the folder that they can't leave, by links either.
    :param files: where the files' texts go, by name.
    """
    agents: dict[str, tuple[Reader, Any]] = {}
    for index, name in enumerate(names):
        loc: Loc = ("include", index)
        if not is_inside(path.parent / name, root):
            reader.error("AGT212", f"'{name}' lies outside of the templates' folder", loc)
        elif name in names[:index]:
            reader.error("AGT212", f"'{name}' is included twice", loc)
        else:
            _read_include(reader, name, path.parent / name, loc, files, agents)
    return agents


def is_inside(path: Path, root: Path) -> bool:
    """Whether a file lies in a folder, links followed."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except ValueError:
        return True  # no file has such a name: reading it says so


def _read_include(
    reader: Reader,
    name: str,
    target: Path,
    loc: Loc,
    files: dict[str, str],
    agents: dict[str, tuple[Reader, Any]],
) -> None:
    try:
        source = read_source(target)
    except TemplateError as error:
        if any(problem.code == "AGT101" for problem in error.problems):
            reader.error("AGT212", f"'{name}' can't be read", loc, "the path is relative to this file")
        else:
            reader.problems.extend(error.problems)
        return
    data, problems = to_data(source)
    reader.problems.extend(problems)
    files[name] = source.text
    inner = Reader(source, reader.problems)
    for key in data if isinstance(data, dict) else ():
        if key not in ("agents", "version") and not key.startswith("x-"):
            inner.error("AGT213", f"an included file holds only agents, not '{key}'", (key,), key=True)
    for agent, value in inner.mapping(data.get("agents") if isinstance(data, dict) else data, ("agents",)).items():
        if agent in agents:
            other = agents[agent][0].source.path
            inner.error("AGT211", f"the agent '{agent}' is also defined in {other}", ("agents", agent), key=True)
        else:
            agents[agent] = inner, value
