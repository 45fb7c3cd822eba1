"""
What a decision is made from: the conditions of a stage's routes, or the kind of its failure.

Pure functions over a route task's config and the names that its texts read; what Airflow is told about the choice is
in :mod:`~airflow_agentic.operators.route`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import AgenticError, StageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: The kind of error of a task that left no word of why it failed.
KILLED = {"kind": "killed", "message": "The task was stopped, or its worker was lost."}
#: What a stage without routes of its own chooses when it succeeded.
NEXT = "next"
#: What a stage comes to whose own condition doesn't hold.
SKIP = "skip"


class UnhandledError(StageError):
    """The stage failed, and none of its ways to handle that is for this failure; the kind is that failure's."""


class UndecidedError(AgenticError):
    """None of the conditions holds."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """
    What was chosen.

    :param route: index of the route from 0; None for a failure that was routed, or a stage without routes.
    :param shown: the choice in words.
    :param feedback: what goes back, still to be rendered; None unless the choice is to go back.
    """

    outcome: str
    route: int | None
    shown: str
    feedback: Mapping[str, Any] | None = None


@dataclass
class Conditions:
    """
    A stage's routes, tried in order.

    :param routes: as in the route task's config.
    :param tried: what the conditions saw, in order, for the record.
    """

    routes: Sequence[Mapping[str, Any]]
    tried: list[dict[str, Any]] = field(default_factory=list)

    def choose(self, values: Mapping[str, Any]) -> Choice:
        """
        The first route whose condition holds.

        :raises ExpressionError: a condition can't be evaluated.
        :raises UndecidedError: none holds.
        """
        from airflow_agentic.template.expressions import is_true

        if not self.routes:
            return Choice(outcome=NEXT, route=None, shown=NEXT)
        for index, route in enumerate(self.routes):
            when = route["when"]
            entry = {"when": when, "outcome": route["outcome"], "held": None, "values": list(values_of(when, values))}
            self.tried.append(entry)
            entry["held"] = when is None or is_true(when, values)
            if entry["held"]:
                back = route["with"] if _goes_back(route) else None
                return Choice(outcome=route["outcome"], route=index, shown=route["shown"], feedback=back)
        raise UndecidedError("None of the conditions holds, and the last route has one as well.")

    def as_data(self) -> list[dict[str, Any]]:
        """All routes, those that weren't tried too."""
        rest = self.routes[len(self.tried) :]
        untried = [{"when": route["when"], "outcome": route["outcome"], "held": None, "values": []} for route in rest]
        return [*self.tried, *untried]


def choose_for(failure: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Choice:
    """
    Where the run goes on after a failure.

    :param failure: ``stage``, ``kind``, ``message``.
    :param entries: the route task's ``error``.
    :raises UnhandledError: nowhere.
    """
    for entry in entries:
        if not entry["kinds"] or failure["kind"] in entry["kinds"]:
            return Choice(outcome=entry["outcome"], route=None, shown=entry["to"])
    raise UnhandledError(str(failure["message"]), str(failure["kind"]))


def _goes_back(route: Mapping[str, Any]) -> bool:
    """In the last round, a route back has the outcome of what comes then, and nothing goes back."""
    return route["back_to"] is not None and bool(route["with"])


def values_of(condition: str | None, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """
    What a condition reads, each path once: ``path`` and, unless it is undefined, ``value``.

    :param condition: null reads nothing.
    """
    from airflow_agentic.template.expressions import bare, parse
    from airflow_agentic.template.references import analyse

    if condition is None:
        return
    references = analyse(parse("{{" + bare(condition) + "}}"), strict=False)[0]
    for path in dict.fromkeys(_known_part(reference.path) for reference in references):
        yield {"path": ".".join(path), **_value(path, values)}


def _known_part(path: tuple[str, ...]) -> tuple[str, ...]:
    """A path up to its first list: the list itself is what was seen."""
    return path[: path.index("*")] if "*" in path else path


def _value(path: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    found: Any = values
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return {}
        found = found[key]
    return {"value": found}
