"""
Templates of random control flow, for the comparison of compiled DAGs with the reference interpreter.

Stages are drawn one after the other; each may read, need or follow earlier ones, and route to later ones or back to
earlier ones, so the edges hold no cycle but for the loops. What remains wrong (two stages required that never both
run, a target that need not have run, …) the language's own checks refuse, and the test leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import strategies as st
from support.flow_graph import SPECIAL, Graph, listed, named, routed_to

if TYPE_CHECKING:
    from collections.abc import Callable

Spec = dict[str, Any]

#: How to read a stage's output by its form: (in an input, as a scalar in a text, as a condition on it).
READS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "agent": ("X", "X.saw", ("X.score >= 1", "X.score >= 2", "X.score == 0")),
    "lists": ("X", "X | length", ("X | length > 1", "X | length == 0")),
    "fan_out": ("X.outputs", "X.succeeded", ("X.failed > 0", "X.failed_ratio > 0.4", "X.succeeded > 1")),
    "human": ("X.choice", "X.choice", ("X.choice == 'a'", "X.timed_out")),
    "any": ("X", "X | tojson | length", ("(X | tojson | length) % 2 == 0", "(X | tojson | length) % 3 == 0")),
}
ERRORS = ("unavailable", "timeout", "bug", "rejected")


@dataclass(kw_only=True)
class Draft:
    """
    A scope in the making.

    :param names: of all stages, each after those it may depend on.
    :param forms: stage → how its output is read.
    :param surely: stage → the stages that have run whenever it runs, as far as its required reads tell.
    :param small: an inner pipeline.
    :param people: there may be stages that ask them.
    """

    names: list[str]
    small: bool = False
    people: bool = True
    stages: dict[str, Spec] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    surely: dict[str, list[str]] = field(default_factory=dict)

    @property
    def earlier(self) -> list[str]:
        """The stages that are there already, the latest first."""
        return list(reversed(self.stages))

    @property
    def later(self) -> list[str]:
        """The stages to come after the next one."""
        return self.names[len(self.stages) + 1 :]

    def there_for(self, name: str) -> set[str]:
        """The stages that a new one may require: any, or what has run whenever one of those that name it has."""
        there = set(self.stages)
        for other, spec in self.stages.items():
            if name in named(spec):
                there &= set(self.surely[other] if name in routed_to(spec) else self.surely[other][1:])
        return there


def read(form: str, name: str, *, how: str = "input", guarded: bool = False) -> str:
    """A stage's output in braces."""
    expression = READS[form][0 if how == "input" else 1].replace("X", name)
    if guarded:
        return f"{{{{ {expression} if {name} is defined else 'none' }}}}"
    return f"{{{{ {expression} }}}}"


@st.composite
def templates(draw: Any, *, smallest: int = 3, largest: int = 8, people: bool = True) -> Spec:
    """A template as plain data; most of them are valid."""
    names = [f"s{number}" for number in range(draw(st.integers(smallest, largest)))]
    draft = Draft(names=names, people=people)
    _draw_stages(draw, draft)
    spec: Spec = {
        "version": 1,
        "inputs": {
            "flag": {"type": "boolean", "default": draw(st.booleans())},
            "things": {"type": "array", "default": draw(st.sampled_from([["x", "y"], [], ["x", "y", "z"], ["x"]]))},
        },
        "defaults": {"retry": {"attempts": 1}},
        "agents": {
            name: {"type": "python", "callable": f"support.flow_agents:{name}"}
            for name in ("work", "lists", "stand_in")
        },
        **_closed(draw, draft),
    }
    if draw(st.booleans()):
        names = [name for name in draft.names if _goes_on(draft.stages[name])] or draft.names
        names = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
        parts = [read(draft.forms[name], name, how="text", guarded=draw(st.booleans())) for name in names]
        spec["artifact"] = {"path": "{{ run.id }}.txt", "content": " ".join(parts)}
    return spec


def to_yaml(spec: Spec) -> str:
    """The template's text."""
    return yaml.safe_dump(spec, sort_keys=False, default_flow_style=None, width=110)


def _draw_stages(draw: Any, draft: Draft) -> None:
    for name in draft.names:
        form, spec = draw(_stage(draft, name))
        draft.forms[name] = form
        draft.stages[name] = spec


def _closed(draw: Any, draft: Draft) -> Spec:
    """The scope's stages in any order, and its output, which reads all of them."""
    _let_all_be_reached(draft)
    output = {name: read(draft.forms[name], name, guarded=True) for name in draft.names}
    stages = {name: draft.stages[name] for name in draw(st.permutations(draft.names))}
    _add_loop_reads(draw, {"stages": stages})
    return {"stages": stages, "output": output}


def _let_all_be_reached(draft: Draft) -> None:
    """Where no route of a stage leads to one that depends on it, the last route also goes on to ``next``."""
    for name, spec in draft.stages.items():
        graph = Graph({"stages": draft.stages})
        targets = [target for route in spec.get("routes", ()) for target in _route_targets(graph, name, route)]
        starved = [other for other in graph.next_of(name) if not graph.is_alive(other, targets)]
        if spec.get("routes") and starved:
            last = spec["routes"][-1]
            key = "exhausted" if "back_to" in last else "to"
            kept = [target for target in listed(last.get(key)) if target not in SPECIAL]
            last[key] = ["next", *kept] if kept else "next"


def _goes_on(spec: Spec) -> bool:
    """Whether what isn't named by a stage may follow it."""
    routes = spec.get("routes", [{"to": "next"}])
    return any("next" in listed(route.get("to", route.get("exhausted"))) for route in routes)


def _route_targets(graph: Graph, name: str, route: Spec) -> list[str]:
    to = listed(route.get("to", route.get("exhausted")))
    return [target for target in to if target not in SPECIAL] + (graph.next_of(name) if "next" in to else [])


def _add_loop_reads(draw: Any, spec: Spec) -> None:
    """Stages in loops read what only loops have."""
    try:
        graph = Graph(spec)
        inside = [name for name in spec["stages"] if graph.loops_of(name)]
    except (StopIteration, ValueError, KeyError):
        return  # no valid template anyway
    for name in inside:
        reads = {"round": "{{ round }}", "feedback": "{{ feedback }}"}
        chosen = draw(st.sampled_from([reads, reads, {}, {"feedback": reads["feedback"]}]))
        stage = spec["stages"][name]
        if "agent" in stage:
            stage["input"]["saw"] |= chosen
        elif "human" in stage and chosen:
            stage["human"]["ask"] += " {{ round }} {{ feedback | tojson | length }}"
        elif "pipeline" in stage:
            stage["input"] |= chosen


# -- one stage ---------------------------------------------------------------------------------------------------------


@st.composite
def _stage(draw: Any, draft: Draft, name: str) -> tuple[str, Spec]:
    reads, spec = draw(_dependencies(draft, name))
    forms = ["agent"] * 10 + ["merge"] * 3 + ["human"] * draft.people + ["pipeline"] * 2 * (not draft.small)
    form = draw(st.sampled_from(forms))
    if form == "merge" and len(draft.stages) < 2:
        form = "agent"
    spec |= draw(_FORMS[form](draft, name, reads))
    required = [other for other, kind in reads.items() if kind in ("bare", "needs")]
    draft.surely[name] = [name, *dict.fromkeys(sure for other in required for sure in draft.surely[other])]
    shown = "fan_out" if "for_each" in spec else {"merge": "any", "pipeline": "any"}.get(form, spec.get("agent", form))
    shown = {"work": "agent"}.get(shown, shown)
    if draw(st.integers(0, 5)) == 0:
        spec["when"] = draw(_condition(draft, reads))
    if draw(st.integers(0, 9)) < 4:
        spec["routes"] = draw(_routes(draft, name, shown))
    if draw(st.integers(0, 5)) == 0 or ("human" in spec and draw(st.booleans())):
        entries = draw(_on_error(draft, spec))
        if entries:
            spec["on_error"] = entries
    return shown, spec


@st.composite
def _dependencies(draw: Any, draft: Draft, name: str) -> tuple[dict[str, str], Spec]:
    """Which earlier stages it depends on and how; ``needs`` and ``after``."""
    reads: dict[str, str] = {}
    if draft.earlier and draw(st.integers(0, 9)):
        near = draft.earlier[:3] + draft.earlier[:1] * 2
        there = draft.there_for(name)
        for other in draw(st.lists(st.sampled_from(near), min_size=1, max_size=2, unique=True)):
            waits = ["guarded", "guarded", "after"]
            reads[other] = draw(st.sampled_from(waits if other not in there else ["bare"] * 4 + ["needs", *waits]))
    spec: Spec = {}
    for key in ("needs", "after"):
        listed = [other for other, kind in reads.items() if kind == key]
        if listed:
            spec[key] = listed
    return reads, spec


def _saw(draft: Draft, reads: dict[str, str]) -> Spec:
    return {
        f"r_{other}": read(draft.forms[other], other, guarded=kind == "guarded")
        for other, kind in reads.items()
        if kind in ("bare", "guarded")
    }


@st.composite
def _scripts(draw: Any) -> list[Any]:
    script: list[Any] = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    if draw(st.integers(0, 4)) == 0:
        script.append(draw(st.sampled_from(ERRORS)))
    return script


@st.composite
def _agent(draw: Any, draft: Draft, _name: str, reads: dict[str, str]) -> Spec:
    saw = _saw(draft, reads)
    spec: Spec = {
        "agent": draw(st.sampled_from(["work"] * 4 + ["lists"])),
        "input": {"script": draw(_scripts()), "saw": saw},
    }
    items = draw(_items(draft, reads))
    if items:
        spec |= items
        saw |= draw(st.sampled_from([{"item": "{{ item }}"}, {"item": "{{ item }}", "index": "{{ index }}"}]))
    if spec["agent"] == "work" and draw(st.integers(0, 7)) == 0:
        spec["accept"] = "output.score > 0"
    return spec


@st.composite
def _items(draw: Any, draft: Draft, reads: dict[str, str]) -> Spec:
    """Perhaps a list to repeat the stage for."""
    if draw(st.integers(0, 3)):
        return {}
    lists = ["['x', 'y']" if draft.small else "inputs.things"]
    for other, kind in reads.items():
        if kind == "bare":
            lists += {"agent": [f"{other}.list"] * 3, "lists": [other] * 3, "fan_out": [f"{other}.outputs"]}.get(
                draft.forms[other], []
            )
    spec: Spec = {"for_each": draw(st.sampled_from(lists))}
    tolerate = draw(st.sampled_from([None, "100%", "50%", 1]))
    if tolerate is not None:
        spec["tolerate"] = tolerate
    if draw(st.integers(0, 7)) == 0:
        spec["max_items"] = 2
    return spec


@st.composite
def _merge(draw: Any, draft: Draft, _name: str, reads: dict[str, str]) -> Spec:
    how = draw(st.sampled_from(["object", "list", "first", "concat", "union", "majority", "best"]))
    able = {"concat": ("lists",), "union": ("lists",), "best": ("agent",)}.get(how, ("agent", "lists", "human", "any"))
    if how in ("list",):
        able = (*able, "fan_out")
    candidates = [other for other in draft.earlier[:5] if draft.forms[other] in able]
    if len(candidates) < 2:
        how, candidates = "list", draft.earlier[:4]
    parts = draw(st.lists(st.sampled_from(candidates), min_size=2, max_size=3, unique=True))
    merge: Spec = {"from": parts, "how": how}
    by = {"union": "item[:2]", "best": "item.score", "majority": None}.get(how)
    if by:
        merge["by"] = by
    require = draw(st.sampled_from([None, None, 1, 2]))
    if require:
        merge["require"] = require
    for other in [other for other, kind in reads.items() if kind in ("bare", "guarded")]:
        del reads[other]
    return {"merge": merge}


@st.composite
def _human(draw: Any, draft: Draft, name: str, reads: dict[str, str]) -> Spec:
    script = ",".join(draw(st.lists(st.sampled_from(["a", "b", "-"]), min_size=1, max_size=3)))
    shown = [
        read(draft.forms[other], other, how="text", guarded=kind == "guarded")
        for other, kind in reads.items()
        if kind in ("bare", "guarded")
    ]
    return {
        "human": {
            "ask": f"{script}|{name} {' '.join(shown)}",
            "options": ["a", "b"],
            "fields": {"note": {"type": "string", "default": "nothing"}},
            "timeout": "1h",
            "on_timeout": draw(st.sampled_from(["a", "b", "fail"])),
        }
    }


@st.composite
def _pipeline(draw: Any, draft: Draft, _name: str, reads: dict[str, str]) -> Spec:
    given = _saw(draft, reads)
    spec: Spec = {"input": given}
    items = draw(_items(draft, reads))
    if items:
        spec |= items
        given["item"] = "{{ item }}"
    if not given:
        given["only"] = "{{ inputs.flag }}"
    names = [f"p{number}" for number in range(draw(st.integers(1, 3)))]
    inner = Draft(names=names, small=True, people=draft.people)
    _draw_stages(draw, inner)
    key = next(iter(given))
    inner.stages["p0"] = _reading_input(inner.stages["p0"], key)
    return {**spec, "pipeline": _closed(draw, inner)}


def _reading_input(stage: Spec, key: str) -> Spec:
    """An inner pipeline's first stage, told apart by what the pipeline is given."""
    if "agent" in stage:
        stage["input"]["saw"]["given"] = f"{{{{ inputs.{key} }}}}"
    if "human" in stage:
        stage["human"]["ask"] += f" {{{{ inputs.{key} | tojson }}}}"
    return stage


_FORMS: dict[str, Callable[..., st.SearchStrategy[Spec]]] = {
    "agent": _agent,
    "merge": _merge,
    "human": _human,
    "pipeline": _pipeline,
}


# -- decisions ---------------------------------------------------------------------------------------------------------


@st.composite
def _condition(draw: Any, draft: Draft, reads: dict[str, str]) -> str:
    known = [other for other, kind in reads.items() if kind in ("bare", "needs")]
    if not known:
        return "true" if draft.small else "inputs.flag"
    other = draw(st.sampled_from(known))
    return draw(st.sampled_from(READS[draft.forms[other]][2])).replace("X", other)


@st.composite
def _routes(draw: Any, draft: Draft, name: str, form: str) -> list[Spec]:
    conditions = [condition.replace("X", name) for condition in READS[form][2]]
    routes: list[Spec] = []
    gone_back: set[str] = set()
    for _ in range(draw(st.integers(0, 2))):
        route = draw(_route(draft, name, form))
        if route.get("back_to") in gone_back:
            continue
        gone_back.add(route.get("back_to", ""))
        known = [*conditions, "round < 2", "round < 3"] if "back_to" in route else conditions
        routes.append({"when": draw(st.sampled_from(known)), **route})
    last = draw(_route(draft, name, form)) if draw(st.booleans()) else {"to": "next"}
    if last.get("back_to") in gone_back:
        last = {"to": "next"}
    return [*routes, last]


@st.composite
def _route(draw: Any, draft: Draft, name: str, form: str) -> Spec:
    if draw(st.integers(0, 9)) < 5:
        return {"to": draw(_targets(draft))}
    acc = {"agent": f"{name}.score", "human": f"{name}.choice"}.get(form, "round")
    given = draw(
        st.sampled_from(
            [
                {"acc": f"{{{{ feedback.acc | default([]) + [{acc}] }}}}"},
                {"acc": f"{{{{ feedback.acc | default([]) + [{acc}] }}}}", f"by_{name}": "{{ round }}"},
                {f"by_{name}": f"{{{{ {acc} }}}}"},
                {},
            ]
        )
    )
    route: Spec = {
        "back_to": draw(st.sampled_from(draft.surely[name])),
        "max_rounds": draw(st.sampled_from([2, 2, 3, 1])),
    }
    if given:
        route["with"] = given
    exhausted = draw(st.none() | _targets(draft))
    if exhausted is not None:
        route["exhausted"] = exhausted
    return route


@st.composite
def _targets(draw: Any, draft: Draft) -> Any:
    simple: list[Any] = ["next"] * 3 + ["end", "end", "fail"]
    if draft.later:
        simple += [draft.later[0]] * 3 + [draft.later[-1]]
    if len(draft.later) > 1:
        simple += [draft.later[:2], ["next", draft.later[1]]]
    return draw(st.sampled_from(simple))


@st.composite
def _on_error(draw: Any, draft: Draft, spec: Spec) -> list[Spec]:
    """One entry, or an entry for some kinds and one for the others."""
    forms: list[Spec] = [{"to": name} for name in (*draft.later[:1] * 3, *draft.later[1:])]
    value = _value(spec)
    if value is not None:
        forms += [{"value": value}] * 2
    if "agent" in spec:
        forms += [{"agent": "stand_in"}] * (2 if spec["agent"] == "work" else 0)
    if not forms:
        return []
    last = draw(st.sampled_from(forms))
    first = draw(st.sampled_from(forms))
    if "agent" not in spec or draw(st.booleans()) or ("to" in first and "for_each" in spec):
        return [last]
    kinds = draw(st.sampled_from([["unavailable", "timeout"], ["bug"], ["rejected", "not_accepted"]]))
    return [{**first, "kinds": kinds}, last]


def _value(spec: Spec) -> Any:
    """One that fits the stage's output."""
    if "human" in spec:
        return {"choice": "a", "note": "", "by": None, "timed_out": True}
    if "pipeline" in spec:
        return dict.fromkeys(spec["pipeline"]["output"], "value")
    if "merge" in spec:
        return None
    return {"score": 0, "list": [], "saw": "value"} if spec["agent"] == "work" else ["value"]
