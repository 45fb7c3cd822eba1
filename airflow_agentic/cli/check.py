"""``check``: everything that is wrong with templates, at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic.errors import InputError, TemplateError
from airflow_agentic.factory import find
from airflow_agentic.template.parse import load_template

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from airflow_agentic.template.problems import Problem


def check_command(arguments: argparse.Namespace) -> int:
    """Check every file named, and every template of every folder named; 1 when one has an error."""
    files = list(_files(arguments.paths))
    problems = [problem for path, root in files for problem in _problems(path, root)]
    errors = sum(problem.severity == "error" for problem in problems)
    if arguments.json:
        print(json.dumps({"files": len(files), "problems": [problem.as_json() for problem in problems]}, indent=2))
    else:
        for problem in problems:
            print(problem, end="\n\n")
        summary = f"{_count(len(files), 'template')}: {_count(errors, 'error')}"
        print(f"{summary}, {_count(len(problems) - errors, 'warning')}", file=sys.stderr)
    return 1 if errors else 0


def _files(paths: Iterable[str]) -> Iterable[tuple[Path, Path]]:
    """The templates, each with the folder that its includes can't leave."""
    for name in paths:
        path = Path(name)
        if not path.is_dir():
            yield path, path.parent
            continue
        found = [(path / candidate.path, path) for candidate in find.templates(path)]
        if not found:
            raise InputError(f"{name}: there is no template in this folder (a .yaml file with stages:)")
        yield from found


def _problems(path: Path, root: Path) -> tuple[Problem, ...]:
    try:
        return load_template(path, root=root).warnings
    except TemplateError as error:
        return error.problems


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
