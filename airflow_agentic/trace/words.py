"""
Conditions and decisions in words, for people who know neither the template's language nor the records.

A comparison of what can be named is told with the values it saw: ``qa.score >= inputs.min_score was 0.71 >= 0.8:
false``. Of anything else (``and``, filters, functions) the expression is told, and the values of what it read: what
stands between isn't recorded, and is not made up here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jinja2 import nodes

from airflow_agentic.template.expressions import ExpressionError, bare, whole_expression
from airflow_agentic.template.references import path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Characters of a value.
_LONGEST = 60
_SIGNS = {
    "eq": "==",
    "ne": "!=",
    "gt": ">",
    "gteq": ">=",
    "lt": "<",
    "lteq": "<=",
    "in": "in",
    "notin": "not in",
}
_UNDEFINED = "undefined"


def condition_words(when: str | None, held: bool | None, values: Sequence[Mapping[str, Any]]) -> str:
    """
    One condition.

    :param when: null for a way that is always taken.
    :param held: null when it wasn't tried, because an earlier one held, or couldn't be decided.
    :param values: what it read, as recorded: ``path`` and, unless it was undefined, ``value``.
    """
    if when is None:
        return "otherwise" if held is not None else "otherwise: not needed"
    text = " ".join(bare(when).split())
    if held is None and not values:
        return f"{text}: not tried"
    seen = {str(entry["path"]): shown(entry["value"]) if "value" in entry else _UNDEFINED for entry in values}
    told = f"{text}{_told(when, seen)}"
    if held is not None and told == f"{text} was {_truth(held)}":
        return told
    return f"{told}: could not be decided" if held is None else f"{told}: {_truth(held)}"


def _truth(held: bool) -> str:
    return "true" if held else "false"


def shown(value: Any) -> str:
    """A value in a line, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def listed(names: Iterable[str]) -> str:
    """``a, b and c``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _told(when: str, seen: Mapping[str, str]) -> str:
    expression = _expression(when)
    if isinstance(expression, nodes.Compare):
        replaced = _compared(expression, seen)
        if replaced is not None:
            return f" was {replaced}"
    alone = None if expression is None else path_of(expression)
    if alone is not None and ".".join(alone) in seen:
        return f" was {seen['.'.join(alone)]}"
    if not seen:
        return ""
    return f" (with {listed(f'{path} = {value}' for path, value in seen.items())})"


def _expression(when: str) -> nodes.Expr | None:
    try:
        return whole_expression("{{" + bare(when) + "}}")
    except ExpressionError:
        return None


def _compared(compared: nodes.Compare, seen: Mapping[str, str]) -> str | None:
    """The comparison with values in the place of names; None when a part of it isn't a name or a constant."""
    parts = [_operand(compared.expr, seen)]
    for operand in compared.ops:
        parts += [_SIGNS.get(operand.op), _operand(operand.expr, seen)]
    told = [part for part in parts if part is not None]
    return " ".join(told) if len(told) == len(parts) else None


def _operand(node: nodes.Expr, seen: Mapping[str, str]) -> str | None:
    try:
        return shown(node.as_const())
    except nodes.Impossible:
        path = path_of(node)
        return None if path is None else seen.get(".".join(path))
