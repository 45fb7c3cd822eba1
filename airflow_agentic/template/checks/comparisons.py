"""Comparisons that always come out the same, because the two sides are of different kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template.checks.schemas import kind_of
from airflow_agentic.template.hints import did_you_mean, listed

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.checks.schemas import Schema
    from airflow_agentic.template.references import Comparison, Operand
    from airflow_agentic.template.texts import TextKey

_SIGNS = {"eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<="}


def check_comparisons(checking: Checking) -> None:
    """What is compared can be equal, or has an order."""
    for key, analysis in checking.texts:
        for comparison in analysis.comparisons:
            if comparison.operator in _SIGNS:
                _check(checking, key, comparison)


def _check(checking: Checking, key: TextKey, comparison: Comparison) -> None:
    left, right = (_schema(checking, key, side) for side in (comparison.left, comparison.right))
    kinds = _kind(comparison.left, left), _kind(comparison.right, right)
    sign = _SIGNS[comparison.operator]
    if None not in kinds and kinds[0] != kinds[1] and set(kinds) != {"boolean", "number"}:
        shown = f"{_shown(comparison.left)} is a {kinds[0]}, {_shown(comparison.right)} a {kinds[1]}"
        result = {"==": "never", "!=": "always"}.get(sign)
        message = f"{shown}: '{sign}' is {result} true" if result else f"{shown}: they have no order"
        _report(checking, key, comparison, message, _hint(comparison, kinds))
        return
    for schema, value in ((left, comparison.right.value), (right, comparison.left.value)):
        words = schema.get("enum") if schema and sign in ("==", "!=") else None
        if words and isinstance(value, str) and value not in words:
            message = f"{_shown(comparison.left if schema is left else comparison.right)} is never '{value}'"
            texts = [word for word in words if isinstance(word, str)]
            _report(checking, key, comparison, message, did_you_mean(value, texts) or f"it is one of {listed(texts)}")


def _report(checking: Checking, key: TextKey, comparison: Comparison, message: str, hint: str | None) -> None:
    path = comparison.left.path or comparison.right.path
    needle = ".".join(part for part in path if part != "*") if path else None
    checking.report_text("AGT408", message, key, needle=needle, text_line=comparison.line, hint=hint)


def _hint(comparison: Comparison, kinds: tuple[str | None, str | None]) -> str | None:
    for side, kind, other in ((comparison.right, kinds[1], kinds[0]), (comparison.left, kinds[0], kinds[1])):
        if kind == "text" and side.value is not None and other in ("number", "boolean"):
            return f"write {side.value} without quotes"
        if side.path and kind == "text" and other == "number":
            return f"declare {'.'.join(side.path)} as a number, or compare {'.'.join(side.path)} | float"
    return None


def _schema(checking: Checking, key: TextKey, side: Operand) -> Schema:
    """What is declared of a side that is a path; empty where nothing is."""
    path = side.path
    if path is None:
        return {}
    stages = (*checking.template.stages, "error", "round") if key.stages else ()
    if path[0] not in (*key.names, *stages):
        return {}
    return checking.schemas.at(checking.schemas.root(path[0], key), path[1:])


def _kind(side: Operand, schema: Schema) -> str | None:
    return kind_of(schema) if side.path is not None else side.kind


def _shown(side: Operand) -> str:
    if side.path is not None:
        return f"'{'.'.join(side.path)}'"
    if side.value is not None:
        return f"'{side.value}'" if isinstance(side.value, str) else str(side.value).lower()
    return "the other side"
