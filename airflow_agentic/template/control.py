"""A stage's routes, and what it does about errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_agentic.template import models
from airflow_agentic.template.agents import add_agent
from airflow_agentic.template.hints import did_you_mean, listed
from airflow_agentic.template.reader import quoted
from airflow_agentic.template.template import Agent, Recovery, Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_agentic.template.reader import Reader
    from airflow_agentic.template.source import Loc

#: Targets that are no stages.
WORDS = ("next", "end", "fail")


@dataclass(frozen=True, kw_only=True)
class Targets:
    """
    The stages that routes and errors of a scope may name.

    :param stage: whose routes they are.
    :param outer: the stages around an inner pipeline, which it can't name.
    """

    reader: Reader
    stage: str
    stages: Sequence[str]
    outer: Sequence[str] = ()

    def known(self, names: Sequence[str], loc: Loc, words: Sequence[str]) -> tuple[str, ...]:
        """The names that mean something; of every other one, a problem is kept."""
        found = []
        for name in names:
            if name in words or (name in self.stages and name != self.stage):
                found.append(name)
            elif name == self.stage:
                message = f"'{name}' can't go on to itself"
                self.reader.error("AGT410", message, loc, "a way back is back_to, with max_rounds", needle=name)
            else:
                self.unknown(name, loc, words)
        return tuple(found)

    def unknown(self, name: str, loc: Loc, words: Sequence[str] = ()) -> None:
        """Report a name that is none here."""
        if name in self.outer:
            hint = "a route stays in its own pipeline; `to: end` ends that"
        elif name in WORDS:
            hint = "write the name of a stage here"
        else:
            hint = did_you_mean(name, (*self.stages, *words)) or f"the stages are {listed(self.stages)}"
        self.reader.error("AGT401", f"there is no stage '{name}'", loc, hint, needle=name)


def read_routes(targets: Targets, data: Sequence[Any], loc: Loc) -> tuple[Route, ...]:
    """The routes of a stage; those that can't be read are left out."""
    routes = (_route(targets, entry, (*loc, index)) for index, entry in enumerate(data))
    return tuple(route for route in routes if route is not None)


def _route(targets: Targets, data: Any, loc: Loc) -> Route | None:
    reader = targets.reader
    kind = _kind(reader, data, models.ROUTES, "a route is exactly one of to and back_to", loc)
    if kind is None:
        return None
    data = reader.refuse_empty(data, {"when": "true"}, loc)
    if kind == "to":
        data = _without_loops_keys(reader, data, loc)
        spec = reader.model(models.ToRoute, data, loc)
        return None if spec is None else Route(when=spec.when, to=_going_on(targets, spec.to, (*loc, "to")), loc=loc)
    back = reader.model(models.BackRoute, data, loc, max_rounds=1)
    if back is None:
        return None
    exhausted = _going_on(targets, back.exhausted, (*loc, "exhausted"))
    if back.back_to not in targets.stages:
        targets.unknown(back.back_to, (*loc, "back_to"))
        return None
    return Route(
        when=back.when, to=exhausted, loc=loc, back_to=back.back_to, max_rounds=back.max_rounds, with_=back.with_
    )


def _kind(reader: Reader, data: Any, kinds: dict[str, Any], message: str, loc: Loc) -> str | None:
    if not isinstance(data, dict):
        reader.error("AGT204", f"{quoted(loc)} must be a mapping", loc)
        return None
    return reader.one_kind(data, kinds, "AGT214", message, loc)


def _without_loops_keys(reader: Reader, data: dict[str, Any], loc: Loc) -> dict[str, Any]:
    foreign = [key for key in ("max_rounds", "with", "exhausted") if key in data]
    for key in foreign:
        reader.error(
            "AGT210", f"a route with `to` has no '{key}'", (*loc, key), "only one with back_to has it", key=True
        )
    return {key: value for key, value in data.items() if key not in foreign}


def _going_on(targets: Targets, names: Sequence[str], loc: Loc) -> tuple[str, ...]:
    """Where a route goes on."""
    reader = targets.reader
    alone = next((name for name in names if name in ("end", "fail")), None)
    if alone is not None and len(names) > 1:
        message = f"'{alone}' goes with nothing else: the run goes on, or it doesn't"
        reader.error("AGT450", message, loc, "write it alone, or only the stages", needle=alone)
    for name in dict.fromkeys(names):
        if list(names).count(name) > 1:
            reader.error("AGT450", f"'{name}' is named twice", loc, "name each stage once", needle=name)
    return tuple(dict.fromkeys(targets.known(names, loc, WORDS)))


def read_recoveries(
    targets: Targets, data: Any, loc: Loc, agents: dict[str, Agent], backup: str
) -> tuple[Recovery, ...]:
    """
    The entries of ``on_error``, one or a list; those that can't be read are left out.

    :param agents: where agents written in place go.
    :param backup: their name, with a number behind it if there are several.
    """
    if data is None:
        targets.reader.error("AGT208", "'on_error' is empty", loc, key=True)
        return ()
    entries: list[tuple[Loc, Any]] = [(loc, data)]
    if isinstance(data, list):
        entries = [((*loc, index), entry) for index, entry in enumerate(data)]
    found = (_recovery(targets, entry, place, agents, backup) for place, entry in entries)
    return tuple(entry for entry in found if entry is not None)


def _recovery(targets: Targets, data: Any, loc: Loc, agents: dict[str, Agent], backup: str) -> Recovery | None:
    reader = targets.reader
    form = _kind(reader, data, models.RECOVERIES, "an entry of on_error is exactly one of agent, value and to", loc)
    if form is None:
        return None
    spec = reader.model(models.RECOVERIES[form], reader.refuse_empty(data, {"agent": {}}, loc), loc)
    if spec is None:
        return None
    agent, value, to = None, None, None
    if isinstance(spec, models.AgentRecovery):
        agent = _stand_in(reader, spec.agent, (*loc, "agent"), agents, backup)
    elif isinstance(spec, models.ValueRecovery):
        value = spec.value
    elif isinstance(spec, models.ToRecovery):
        to = next(iter(targets.known((spec.to,), (*loc, "to"), ())), None)
        if to is None:
            return None
    kept = cast("Literal['agent', 'value', 'to']", form)
    return Recovery(form=kept, kinds=tuple(spec.kinds), loc=loc, agent=agent, value=value, to=to)


def _stand_in(reader: Reader, agent: str | dict[str, Any], loc: Loc, agents: dict[str, Agent], backup: str) -> str:
    if isinstance(agent, str):
        return agent
    name, number = backup, 1
    while name in agents:
        number += 1
        name = f"{backup}_{number}"
    if agent:
        add_agent(reader, agents, name, agent, loc)
    else:
        agents[name] = Agent(name=name, spec=models.AgentBase(), schema={}, source=reader.source, loc=loc)
    return name
