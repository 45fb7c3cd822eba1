"""Stages that are repeated for each item of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.template import models
from airflow_agentic.template.checks.schemas import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.references import Comparison
    from airflow_agentic.template.template import Stage
    from airflow_agentic.template.texts import Analysis, TextKey

_SETTINGS = tuple(models.FanOut.model_fields)
#: The same comparison with its sides exchanged.
_MIRRORED = {"gt": "lt", "gteq": "lteq", "lt": "gt", "lteq": "gteq", "eq": "eq", "ne": "ne"}


def check(checking: Checking) -> None:
    """Settings of fan-outs stand at fan-outs, which are over lists."""
    repeated = False
    for stage in checking.template.stages.values():
        if stage.for_each is None:
            _check_settings(checking, stage)
            continue
        repeated = True
        kind = kind_of(checking.schemas.listed(stage))
        if kind not in (None, "list"):
            message = f"'{stage.for_each.strip()}' is a {kind}, and no list of items"
            hint = _hint(checking, stage) if kind == "mapping" else "name a list"
            checking.report("AGT457", message, (*stage.loc, "for_each"), hint=hint)
    if repeated:
        _check_tolerance(checking)


def _check_settings(checking: Checking, stage: Stage) -> None:
    if not isinstance(stage.spec, models.Repeated):
        return
    for name in _SETTINGS:
        if getattr(stage.spec, name) is not None:
            message = f"'{stage.name}' has '{name}', but no for_each"
            checking.report("AGT215", message, (*stage.loc, name), key=True, hint="add for_each:, or remove the key")


def _hint(checking: Checking, stage: Stage) -> str:
    known = checking.schemas.listed(stage)
    lists = [name for name, part in (known or {}).get("properties", {}).items() if kind_of(part) == "list"]
    path = (stage.for_each or "").strip().removeprefix("{{").removesuffix("}}").strip()
    return f"write {path}.{'outputs' if 'outputs' in lists else lists[0]}" if lists else "name a list"


def _check_tolerance(checking: Checking) -> None:
    """A route that asks for more failures than are let through is never taken."""
    for key, analysis in checking.texts:
        if key.part != "routes" or not key.expression:
            continue
        for name, asked in _asked(checking, key, analysis):
            stage = checking.template.stages[name]
            tolerated = _tolerated(checking, stage)
            if not asked(tolerated):
                message = f"'{name}' fails when more of its items fail than it tolerates ({tolerated}): this can't hold"
                hint = f"write tolerate: 100% at '{name}', so that the route decides"
                checking.report_text("AGT458", message, key, needle=name, hint=hint, severity="warning")


def _asked(checking: Checking, key: TextKey, analysis: Analysis) -> Iterator[tuple[str, Any]]:
    """The fan-outs whose failures a condition asks for, each with a test of what is tolerated."""
    for comparison in analysis.comparisons:
        found = _of_failures(checking, comparison)
        if found is not None:
            yield found
    for reference in analysis.references:
        alone = key.text.strip() == ".".join(reference.path)
        if alone and _is_failures(checking, reference.path, ("failed", "failed_ratio", "errors")):
            yield reference.name, lambda tolerated: tolerated not in (0, "0%")


def _is_failures(checking: Checking, path: tuple[str, ...], names: tuple[str, ...]) -> bool:
    stage = checking.template.stages.get(path[0])
    return stage is not None and stage.for_each is not None and len(path) == 2 and path[1] in names


def _of_failures(checking: Checking, comparison: Comparison) -> tuple[str, Any] | None:
    path, value, operator = comparison.left.path, comparison.right.value, comparison.operator
    if path is None:
        path, value, operator = comparison.right.path, comparison.left.value, _MIRRORED.get(operator, "")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if path is None or not number or operator not in ("gt", "gteq"):
        return None
    if not _is_failures(checking, path, ("failed", "failed_ratio")):
        return None
    is_ratio = path[1] == "failed_ratio"
    return path[0], lambda tolerated: _lets_through(tolerated, value, is_ratio, operator == "gteq")


def _lets_through(tolerated: int | str, asked: float, is_ratio: bool, with_equal: bool) -> bool:
    """Whether as many failures as asked for may be tolerated; a number and a share can't be compared, except none."""
    most = float(tolerated.removesuffix("%")) / 100 if isinstance(tolerated, str) else float(tolerated)
    if isinstance(tolerated, str) != is_ratio and most > 0:
        return True
    return most >= asked if with_equal else most > asked


def _tolerated(checking: Checking, stage: Stage) -> int | str:
    own = getattr(stage.spec, "tolerate", None)
    tolerated: int | str | None = own if own is not None else checking.template.spec.defaults.tolerate
    return 0 if tolerated is None else tolerated
