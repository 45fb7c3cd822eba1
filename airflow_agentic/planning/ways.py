"""
The ways that a decision may take: what each route means in its round, and the arms that have to be told apart.

An *arm* stands for a set of outcomes under which somebody goes on; who goes on under the same outcomes shares one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_agentic.planning.instances import Place
    from airflow_agentic.template.flow import Flow
    from airflow_agentic.template.template import Route, Stage

#: Characters of a label at an edge, and of what an arm's id says beside its stage's name.
_LABEL = 40
_ARM_ID = 80


def route_config(flow: Flow, stage: Stage, route: Route, place: Place) -> dict[str, Any]:
    """One of the routes as it is in this round: in the last one, there is no way back."""
    outcome, shown, with_ = flow.outcome_of(stage, route.to).name, ", ".join(route.to), {}
    if route.back_to is not None:
        loop = next(each for each in flow.loops if each.source == stage.name and each.target == route.back_to)
        number = place.round_of(loop) or 1
        if number < loop.max_rounds:
            outcome, with_ = f"again_{route.back_to}", route.with_
            shown = f"back to {route.back_to} for round {number + 1} of {loop.max_rounds}"
        else:
            shown += " (rounds are used up)"
    return {"when": route.when, "outcome": outcome, "with": with_, "back_to": route.back_to, "shown": shown}


def signatures(flow: Flow, stage: Stage) -> list[frozenset[str]]:
    """The sets of outcomes that somebody has to know of, one arm each, in a fixed order."""
    name = stage.name
    outcomes = list(flow.outcomes[name])
    found = [frozenset((outcome,)) for outcome in outcomes if outcome.startswith(("again_", "error_to_"))]
    for reader in flow.dependents[name]:
        depends = flow.found[reader]
        if name in depends.required:
            found.append(flow.alive_after_success(name, reader))
        found.append(flow.alive(name, reader))
    found += [flow.naming(name, target) for target in flow.nodes if name in flow.found[target].named_by]
    # Somebody has to wait for the decision, even if it leads nowhere.
    unique = list(dict.fromkeys(found)) or [frozenset()]
    return sorted(unique, key=lambda names: [outcome not in names for outcome in outcomes])


def label(flow: Flow, stage: Stage, outcomes: list[str]) -> str:
    """The conditions that lead to an arm."""
    shown: dict[str, None] = {}
    for route in stage.routes:
        names = {flow.outcome_of(stage, route.to).name, f"again_{route.back_to}"}
        if names & set(outcomes):
            shown[route.when or "otherwise"] = None
    if any(outcome.startswith("error_to_") for outcome in outcomes):
        shown["failed"] = None
    text = " / ".join(shown) or ("succeeded" if outcomes else "")
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"


def arm_name(flow: Flow, stage: Stage, names: frozenset[str]) -> str:
    """What an arm is called, after its stage."""
    shown = "_or_".join(outcome for outcome in flow.outcomes[stage.name] if outcome in names) or "never"
    return shown if len(shown) <= _ARM_ID else f"arm{signatures(flow, stage).index(names) + 1}"
