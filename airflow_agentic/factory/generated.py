"""
The DAG files that the template bundle writes, and what they do when Airflow runs them.

A template becomes two files: ``x.yaml.py`` is what Airflow parses and shows in the Code tab, ``x.yaml.json`` is the
finished plan, or the problems of a template that has no plan. The plan is a file of its own because Airflow compiles
a DAG file anew at every parse and every task's start, three times over in the dag processor: text that is no code
costs next to nothing there, a plan written as Python costs more than the DAG.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic import __version__
from airflow_agentic.errors import TemplateError
from airflow_agentic.factory.find import as_text

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_agentic.planning.plan import Plan

_PROBLEMS = '{"problems":'

#: The first two lines are fixed: Python would look in them for a file's encoding.
_CODE = """\
# An Airflow DAG, generated from an agentic workflow template.
# Edit the template: this file is written anew whenever it changes.
# {path}, by airflow-agentic {version}

{template}

from airflow_agentic.factory.generated import dag_of_file

dag = dag_of_file(__file__)
"""


def code(path: str, content: bytes) -> bytes:
    """
    The DAG file of a template, which shows the template, but for credentials in it, and runs none of it.

    :param path: of the template, relative to its folder.
    """
    from airflow_agentic.template.credentials import without_credentials
    from airflow_agentic.template.source import MAX_BYTES

    text = as_text(content)[:MAX_BYTES].replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    shown = " ".join(path.split())
    source = _CODE.format(path=shown, version=__version__, template=_literal(without_credentials(text).rstrip("\n")))
    return source.encode("utf-8", errors="replace")


def plan_file(plan: Plan) -> bytes:
    """What stands beside the DAG file of a template that has a plan."""
    return plan.to_json().encode()


def problems_file(error: TemplateError) -> bytes:
    """What stands beside the DAG file of a template that hasn't."""
    return (_PROBLEMS + json.dumps([asdict(problem) for problem in error.problems]) + "}").encode()


def dag_of_file(file: str) -> DAG:
    """
    The DAG of a generated file; one that reports what is wrong, for a broken template.

    :param file: the generated ``.py`` file.
    """
    text = Path(file).with_suffix(".json").read_text(encoding="utf-8")
    path = Path(file).stem
    try:
        return _dag_of_text(text, path)
    except TemplateError as error:
        from airflow_agentic.factory.broken import BrokenDag

        return BrokenDag(error, file)


def _dag_of_text(text: str, path: str) -> DAG:
    if text.startswith(_PROBLEMS):
        from airflow_agentic.template.problems import Problem

        raise TemplateError([Problem(**problem) for problem in json.loads(text)["problems"]])
    from airflow_agentic.factory.load import dag_of
    from airflow_agentic.planning.plan import Plan

    return dag_of(Plan.from_json(text), path)


def _literal(text: str) -> str:
    """The text as a Python literal that reads like the text; as comments, where no literal can hold it."""
    for quotes in ("'''", '"""'):
        if quotes not in text:
            return f"TEMPLATE = r{quotes}\n{text}\n{quotes}"
    return "\n".join(f"# {line}" for line in text.split("\n"))
