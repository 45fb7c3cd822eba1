"""What stages do, for the reference interpreter: agents, merges, people, inner pipelines, fan-outs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support import flow_agents
from support.flow_graph import listed

from airflow_agentic.errors import AttemptError
from airflow_agentic.template.expressions import ExpressionError, evaluate, is_true, render, render_string

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.interpreter import Execution, Interpreter

Values = dict[str, Any]
#: Who answers.
EDITOR = "editor"


class StageError(Exception):
    """
    A stage, or one item of it, failed.

    :param to: where ``on_error`` lets the run go on.
    """

    def __init__(self, kind: str = "failed", to: str | None = None) -> None:
        super().__init__(kind)
        self.kind, self.to = kind, to


def work(scope: Interpreter, name: str, blank: Execution, values: Values, calls: list[Any]) -> Any:
    """
    The output of a stage that runs.

    :param values: what its texts can read.
    :param calls: gets what its agents were given.
    :raises StageError: it failed.
    """
    spec = scope.graph.stages[name]
    if "merge" in spec:
        return _recovering(spec, values, lambda _agent: _merge(scope, spec["merge"], values), with_to=True)

    def one(given: Values, index: int | None) -> Any:
        if "human" in spec:
            return _ask(spec["human"], given)
        if "pipeline" in spec:
            return _pipeline(scope, name, blank, spec, given, index)
        return given

    def attempt(given: Values, index: int | None) -> Callable[[str | None], Any]:
        def call(agent: str | None) -> Any:
            return _call(spec, agent, given, index, calls) if _is_agent(spec) else one(given, index)

        return call

    if spec.get("for_each") is None:
        return _recovering(spec, values, attempt(values, None), with_to=True)
    try:
        return _fan_out(spec, values, attempt)
    except StageError as error:
        to = next(
            (entry["to"] for entry in listed(spec.get("on_error")) if "to" in entry and _is_for(entry, error)), None
        )
        raise StageError(error.kind, to) from None


def _is_agent(spec: dict[str, Any]) -> bool:
    return "human" not in spec and "pipeline" not in spec


def _is_for(entry: dict[str, Any], error: StageError) -> bool:
    return not entry.get("kinds") or error.kind in entry["kinds"]


def _recovering(spec: dict[str, Any], values: Values, call: Callable[[str | None], Any], *, with_to: bool) -> Any:
    """What a call gives, or the first entry of ``on_error`` that helps; ``to`` is for a stage as a whole."""
    try:
        return call(None)
    except StageError as error:
        failure = error
    except ExpressionError:
        failure = StageError()
    for entry in listed(spec.get("on_error")):
        if not _is_for(entry, failure):
            continue
        if "value" in entry:
            return render(entry["value"], values)
        if "to" in entry and with_to:
            raise StageError(failure.kind, entry["to"])
        if "agent" in entry:
            try:
                return call(entry["agent"])
            except StageError as error:
                failure = error
    raise failure


# -- agents ------------------------------------------------------------------------------------------------------------


def _call(spec: dict[str, Any], agent: str | None, values: Values, index: int | None, calls: list[Any]) -> Any:
    given = render(spec.get("input", {}), values)
    name = agent or spec["agent"]
    calls.append((index, name, given))
    try:
        output = getattr(flow_agents, name)(**given)
    except AttemptError as error:
        raise StageError(error.kind) from None
    if spec.get("accept") is not None and not is_true(spec["accept"], {**values, "output": output}):
        raise StageError("not_accepted")
    return output


# -- fan-out -----------------------------------------------------------------------------------------------------------


def _fan_out(spec: dict[str, Any], values: Values, attempt: Callable[[Values, int], Any]) -> dict[str, Any]:
    items = evaluate(spec["for_each"], values)
    if not isinstance(items, list) or len(items) > spec.get("max_items", 1000):
        raise StageError
    results: list[dict[str, Any]] = []
    for index, item in enumerate(items):
        own = {**values, "item": item, "index": index}
        result: dict[str, Any] = {"index": index, "item": item, "ok": True, "output": None, "error": None}
        try:
            result["output"] = _recovering(spec, own, attempt(own, index), with_to=False)
        except StageError as error:
            result |= {"ok": False, "error": {"kind": error.kind}}
        results.append(result)
    failed = [result for result in results if not result["ok"]]
    if len(failed) > _tolerated(spec.get("tolerate", 0), len(items)):
        raise StageError
    return {
        "results": results,
        "outputs": [result["output"] for result in results if result["ok"]],
        "errors": [{"index": each["index"], "item": each["item"], "kind": each["error"]["kind"]} for each in failed],
        "total": len(items),
        "succeeded": len(items) - len(failed),
        "failed": len(failed),
        "failed_ratio": len(failed) / len(items) if items else 0,
    }


def _tolerated(tolerate: int | str, total: int) -> float:
    return float(tolerate[:-1]) / 100 * total if isinstance(tolerate, str) else tolerate


# -- people ------------------------------------------------------------------------------------------------------------


def _ask(human: dict[str, Any], values: Values) -> dict[str, Any]:
    answered = flow_agents.answer(render_string(human["ask"], values))
    fields = {key: field["default"] for key, field in human.get("fields", {}).items()}
    if answered is not None:
        option, note = answered
        return {
            "choice": option,
            **fields,
            **({"note": note} if "note" in fields else {}),
            "by": EDITOR,
            "timed_out": False,
        }
    if human["on_timeout"] == "fail":
        raise StageError("timeout")
    return {"choice": human["on_timeout"], **fields, "by": None, "timed_out": True}


# -- inner pipelines ---------------------------------------------------------------------------------------------------


def _pipeline(
    scope: Interpreter, name: str, blank: Execution, spec: dict[str, Any], values: Values, index: int | None
) -> dict[str, Any]:
    item = scope.item if index is None else index
    inner = type(scope)(spec["pipeline"], render(spec.get("input", {}), values), f"{blank.path}.", blank.rounds, item)
    outcome = inner.run()
    scope.inner += outcome.executions
    if outcome.output is None:
        raise StageError
    return outcome.output


# -- merges ------------------------------------------------------------------------------------------------------------


def _merge(scope: Interpreter, merge: dict[str, Any], values: Values) -> Any:
    ran = [name for name in merge["from"] if name in values]
    if len(ran) < merge.get("require", 1):
        raise StageError
    parts: list[tuple[str, Any]] = []
    for name in ran:
        is_list = scope.graph.stages[name].get("for_each") is not None and merge["how"] != "object"
        parts += [(name, part) for part in (values[name]["outputs"] if is_list else [values[name]])]

    def by(item: Any) -> Any:
        return evaluate(merge["by"], {**values, "item": item}) if "by" in merge else item

    return _WAYS[merge["how"]](parts, by)


def _majority(parts: list[tuple[str, Any]], by: Callable[[Any], Any]) -> dict[str, Any]:
    keys = [json.dumps(by(value), sort_keys=True) for _, value in parts]
    winner = max(dict.fromkeys(keys), key=keys.count)
    return {
        "value": parts[keys.index(winner)][1],
        "votes": keys.count(winner),
        "of": len(parts),
        "candidates": [{"from": name, "value": value} for name, value in parts],
    }


def _union(parts: list[tuple[str, Any]], by: Callable[[Any], Any]) -> list[Any]:
    kept: dict[str, Any] = {}
    for item in _concat(parts, by):
        kept.setdefault(json.dumps(by(item), sort_keys=True), item)
    return list(kept.values())


def _concat(parts: list[tuple[str, Any]], _by: Any) -> list[Any]:
    if not all(isinstance(value, list) for _, value in parts):
        raise StageError
    return [item for _, value in parts for item in value]


def _best(parts: list[tuple[str, Any]], by: Callable[[Any], Any]) -> dict[str, Any]:
    name, value = max(parts, key=lambda part: by(part[1]))
    return {"value": value, "from": name}


_WAYS: dict[str, Callable[[list[tuple[str, Any]], Any], Any]] = {
    "object": lambda parts, _by: dict(parts),
    "list": lambda parts, _by: [value for _, value in parts],
    "concat": _concat,
    "union": _union,
    "majority": _majority,
    "first": lambda parts, _by: parts[0][1],
    "best": _best,
}
