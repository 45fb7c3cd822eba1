"""Templates of random flow: stages that need, follow, read, guard, merge and decide, with what each depends on."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st


@dataclass(frozen=True, kw_only=True)
class Part:
    """
    One stage of a generated template, or its artifact, as a person would say it.

    :param requires: bare reads and ``needs``; :param waits: guarded reads and ``after``; none of them in another.
    :param parts: of a merge; None for an agent.
    :param number: how many parts must have succeeded; None: none may have failed.
    :param decides: it has a ``when``, over the input ``go_<name>``.
    """

    name: str
    requires: frozenset[str] = frozenset()
    waits: frozenset[str] = frozenset()
    parts: tuple[str, ...] | None = None
    number: int | None = None
    decides: bool = False


@dataclass(frozen=True, kw_only=True)
class Generated:
    """
    A template's text, and its parts in an order in which each follows what it depends on.

    :param calls: of the budget; None: there is none.
    :param cached: agent's stage → the seconds for which its answers are kept, by itself or the defaults.
    """

    text: str
    stages: tuple[Part, ...]
    artifact: Part
    calls: int | None = None
    cached: dict[str, int] = field(default_factory=dict)


KINDS = ("needs", "after", "bare", "guarded", "guarded_if")


@st.composite
def templates(draw, most: int = 6) -> Generated:
    """A template of up to ``most`` stages, written in any order."""
    count = draw(st.integers(1, most))
    names = draw(st.permutations([f"s{number}" for number in range(count)]))
    lines, stages, cached = {}, [], {}
    calls, default = draw(st.none() | st.integers(1, 9)), draw(st.none() | st.integers(1, 9))
    for index, name in enumerate(names):
        line, part = draw(_stage(name, tuple(names[:index])))
        if part.parts is None:
            line, cached[name] = draw(_cached(line, default))
        lines[name] = line
        stages.append(part)
    used = draw(_dependencies(tuple(names)))
    reads = [_read(kind, name) for name, kind in used.items() if kind not in ("needs", "after")]
    requires, waits = _split({name: kind for name, kind in used.items() if kind not in ("needs", "after")})
    inputs = "".join(f"  go_{name}: {{type: boolean, default: true}}\n" for name in sorted(names))
    text = "version: 1\ninputs:\n" + inputs + "agents: {tool: {type: python, callable: 'a:b'}}\nstages:\n"
    text += "".join(f"  {name}: {lines[name]}\n" for name in sorted(names))
    text += "" if calls is None else f"budget: {{calls: {calls}}}\n"
    text += "" if default is None else f"defaults: {{cache: {{ttl: {default}s}}}}\n"
    text += f'artifact: {{path: a, content: "-{"".join(reads)}"}}\n'
    guarded = "".join(_read("guarded", name) for name in sorted(names))
    text += f'output: {{all: "{guarded}"}}\n'
    return Generated(
        text=text,
        stages=tuple(stages),
        artifact=Part(name="artifact", requires=requires, waits=waits),
        calls=calls,
        cached={name: seconds for name, seconds in cached.items() if seconds is not None},
    )


@st.composite
def _cached(draw, line: str, default: int | None) -> tuple[str, int | None]:
    """An agent's stage, perhaps with a cache of its own or none, and how long its answers are kept."""
    own = draw(st.sampled_from(("", "false", "kept")))
    if not own:
        return line, default
    seconds = draw(st.integers(10, 20)) if own == "kept" else None
    return f"{line[:-1]}, cache: {'false' if seconds is None else f'{{ttl: {seconds}}}'}}}", seconds


@st.composite
def _dependencies(draw, before: tuple[str, ...]) -> dict[str, str]:
    """What depends on which stages before it, and how."""
    chosen = draw(st.lists(st.sampled_from(before), max_size=3, unique=True)) if before else []
    return {name: draw(st.sampled_from(KINDS)) for name in chosen}


@st.composite
def _stage(draw, name: str, before: tuple[str, ...]) -> tuple[str, Part]:
    used = draw(_dependencies(before))
    decides = draw(st.booleans())
    keys = [f"when: inputs.go_{name}"] if decides else []
    parts, number = None, None
    if before and draw(st.integers(0, 3)) == 0:
        parts = tuple(draw(st.lists(st.sampled_from(before), min_size=1, max_size=3, unique=True)))
        number = draw(st.none() | st.integers(1, len(parts)))
        used = {
            other: {"bare": "needs"}.get(kind, "after") if kind not in ("needs", "after") else kind
            for other, kind in used.items()
        }
        keys.append(f"merge: {{from: [{', '.join(parts)}], how: list" + (f", require: {number}}}" if number else "}"))
    else:
        keys.append("agent: tool")
        reads = [f"r{index}: '{_read(kind, other)}'" for index, (other, kind) in enumerate(used.items())]
        reads = [read for read, kind in zip(reads, used.values(), strict=True) if kind not in ("needs", "after")]
        if reads:
            keys.append("input: {" + ", ".join(reads) + "}")
    for key in ("needs", "after"):
        listed = [other for other, kind in used.items() if kind == key]
        if listed:
            keys.append(f"{key}: [{', '.join(listed)}]")
    requires, waits = _split(used)
    waits -= set(parts or ())
    part = Part(name=name, requires=requires, waits=waits, parts=parts, number=number, decides=decides)
    return "{" + ", ".join(draw(st.permutations(keys))) + "}", part


def _read(kind: str, name: str) -> str:
    return {
        "bare": "{{ NAME }}",
        "guarded": "{{ NAME | default(0) }}",
        "guarded_if": "{% if NAME %}{{ NAME }}{% endif %}",
    }.get(kind, "").replace("NAME", name)


def _split(used: dict[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    requires = frozenset(name for name, kind in used.items() if kind in ("needs", "bare"))
    return requires, frozenset(used) - requires
