"""
How many items the lists of a plan have at most, before anything has run.

A list is *known* when its expression reads inputs only, and their values are given or have defaults: then it is
evaluated as a run would do it. Of another list, ``max_items`` is the bound, or a smaller ``maxItems`` of the JSON
Schema that its value must fit, or the bound of the fan-out whose results it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.template.expressions import ExpressionError, bare, evaluate, parse, render, whole_expression
from airflow_agentic.template.references import analyse, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jinja2 import nodes

    from airflow_agentic.planning.plan import Plan, PlannedTask
    from airflow_agentic.template.references import Path

#: What a fan-out's output holds one of for each item, at most.
_PER_ITEM = ("results", "outputs", "errors")


@dataclass(frozen=True, kw_only=True)
class Size:
    """
    How long a list is.

    :param items: so many of its items are worked on at most; 0 when there are more than ``max_items``.
    :param length: its real length, where that is known.
    """

    items: int
    length: int | None = None


class Sizes:
    """
    The sizes of a plan's lists.

    :param inputs: the values of the run's inputs, as far as they are known; defaults are added.
    """

    def __init__(self, plan: Plan, inputs: Mapping[str, Any]) -> None:
        self._plan = plan
        self._tasks = {task.task_id: task for task in plan.tasks}
        self._known: dict[str | None, dict[str, Any]] = {None: {**_defaults(plan.inputs), **inputs}}
        self._mapped = {group.group_id: group.mapped for group in plan.groups if group.mapped is not None}

    def of_list(self, task: PlannedTask) -> Size:
        """
        Of the list of an ``items`` task, or of an agent's task that works on all items by itself.

        :raises KeyError: the task has no list.
        """
        config = task.config if task.kind == "items" else task.config["fan_out"]
        most: int = config["max_items"]
        expression = whole_expression("{{" + bare(config["for_each"]) + "}}")
        if expression is None:
            return Size(items=most)
        known = self._known_inputs(task.inputs)
        if _reads_only(known, [expression]):
            length = _length(config["for_each"], known)
            if length is not None:
                return Size(items=length if length <= most else 0, length=length)
        declared = self._declared(task, path_of(expression))
        return Size(items=most if declared is None else min(most, declared))

    def of_group(self, task: PlannedTask) -> int:
        """How often a task is repeated by the mapped task group that it is in, at most."""
        return 1 if task.mapped is None else self.of_list(self._tasks[self._mapped[task.mapped]]).items

    def _known_inputs(self, start: str | None) -> dict[str, Any]:
        """The values of ``inputs``, as far as they are known, for the run or for the pipeline with that start task."""
        if start is not None and start not in self._known:
            task = self._tasks[start]
            outer = self._known_inputs(task.inputs)
            known = _defaults(task.config["inputs"])
            for name, text in task.config["input"].items():
                known.pop(name, None)
                if _reads_only(outer, _expressions(text)):
                    known |= _rendered(name, text, outer)
            self._known[start] = known
        return self._known[start]

    def _declared(self, task: PlannedTask, path: Path | None) -> int | None:
        """The bound that a list's schema declares, or that its own fan-out has."""
        if path is None or len(path) < 2:
            return None
        if path[0] == "inputs":
            specs = self._plan.inputs if task.inputs is None else self._tasks[task.inputs].config["inputs"]
            return _most_items(specs[path[1]]["schema"], path[2:]) if path[1] in specs else None
        bounds = [self._bound(self._tasks[name], path[1:]) for name in task.reads.get(path[0], ())]
        found = [bound for bound in bounds if bound is not None]
        return max(found) if found and len(found) == len(bounds) else None

    def _bound(self, source: PlannedTask, path: Path) -> int | None:
        """The same for the output of one task."""
        if source.kind == "collect":
            whole = len(path) == 1 and path[0] in _PER_ITEM
            return self.of_list(self._tasks[source.config["items"]]).items if whole else None
        if source.kind != "agent" or any("value" in entry for entry in source.config.get("recover", ())):
            return None
        if source.config.get("fan_out") is not None:
            return self.of_list(source).items if len(path) == 1 and path[0] in _PER_ITEM else None
        return _most_items(self._plan.agents[source.config["agent"]]["output_schema"], path)


def _defaults(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: spec["default"] for name, spec in specs.items() if "default" in spec}


def _expressions(value: Any) -> list[nodes.Node]:
    """Everything that is evaluated in a nested value of texts."""
    if isinstance(value, str):
        return [parse(value)]
    parts: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [tree for part in parts for tree in _expressions(part)]


def _reads_only(known: Mapping[str, Any], trees: Iterable[nodes.Node]) -> bool:
    """Whether nothing is read but inputs whose values are known."""
    references = [reference for tree in trees for reference in analyse(tree)[0]]
    return all(
        len(reference.path) > 1 and reference.path[0] == "inputs" and reference.path[1] in known
        for reference in references
    )


def _length(expression: str, known: Mapping[str, Any]) -> int | None:
    try:
        found = evaluate(expression, {"inputs": known})
    except ExpressionError:
        return None
    return len(found) if isinstance(found, list) else None


def _rendered(name: str, text: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: render(text, {"inputs": known})}
    except ExpressionError:
        return {}


def _most_items(schema: Any, path: Path) -> int | None:
    """``maxItems`` of what stands at a path of a value that fits a JSON Schema."""
    for key in path:
        schema = schema.get("properties", {}).get(key) if isinstance(schema, dict) else None
    most = schema.get("maxItems") if isinstance(schema, dict) else None
    return most if isinstance(most, int) else None
