"""
Which values in a stage's prompt speak for the template's author or for whoever started the run, and which are data.

Trusted are the template's own texts, ``run`` and ``inputs``: who may start a run may say what it is to do. Everything
else has gone through an agent, a tool, a page, a person or another DAG: outputs of stages, items, ``feedback``,
``error``, what came with asset events, and inside a pipeline its ``inputs``, which are values of the stage that uses
it. A key of ``input`` is trusted when its text reads nothing else than what is trusted.

It is decided from the texts alone. A name that a text gives to a value (``set``, ``with``, ``macro``, ``call``) can't
be followed with certainty, so in a text that has such names everything is data, unless it reads nothing but what is
trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_agentic.planning.plan import PlannedTask
    from airflow_agentic.template.expressions import RenderedPassage
    from airflow_agentic.template.references import Path

#: Numbers of the package's own making.
_COUNTS = ("index", "round")


class Trust:
    """What the texts of one stage may take for instructions."""

    def __init__(self, planned: PlannedTask) -> None:
        self._inputs = planned.inputs is None
        self._given = {key: self._reads_trusted(value) for key, value in planned.config["input"].items()}

    def marked(self, text: str, values: Mapping[str, Any]) -> str:
        """
        Render a text, with marks around all that is data.

        :raises ExpressionError: it can't be rendered.
        """
        from airflow_agentic.agents.marking import mark
        from airflow_agentic.template.expressions import render_changed

        sure = not _has_names(text) or self._reads_trusted(text)

        def marked(inserted: str, passage: RenderedPassage) -> str:
            is_trusted = sure and self._trusts(passage.reads)
            return inserted if is_trusted else mark(inserted, _source(passage.reads))

        return render_changed(text, values, marked)

    def _reads_trusted(self, value: Any) -> bool:
        from airflow_agentic.template.expressions import texts_in

        return all(self._trusts(_reads(text)) for text in texts_in(value))

    def _trusts(self, reads: Iterable[Path]) -> bool:
        return all(self._trusts_path(path) for path in reads)

    def _trusts_path(self, path: Path) -> bool:
        match path:
            case ("inputs", *_):
                return self._inputs
            case ("run", key, *_):
                return key != "assets"
            case ("input", key, *_) if key in self._given:
                return self._given[key]
            case ("input",):
                return all(self._given.values())
        return path[0] in _COUNTS


def _has_names(text: str) -> bool:
    """Whether a text gives names to values, in ways that a reader can't follow with certainty."""
    from jinja2 import nodes

    from airflow_agentic.template.expressions import is_text, parse, simple_paths

    if is_text(text) or simple_paths(text) is not None:
        return False
    tree = parse(text)
    kinds = (nodes.Assign, nodes.AssignBlock, nodes.With, nodes.Macro, nodes.CallBlock)
    return any(tree.find(kind) is not None for kind in kinds)


def _reads(text: str) -> Iterator[Path]:
    from airflow_agentic.template.expressions import is_text, parse
    from airflow_agentic.template.references import analyse

    if not is_text(text):
        yield from (reference.path for reference in analyse(parse(text))[0])


def _source(reads: Iterable[Path]) -> str:
    """What a model is told of where a value is from."""
    return ", ".join(dict.fromkeys(path[0] for path in reads)) or "this run"
