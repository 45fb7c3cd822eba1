"""
What Airflow knows of a run: the run itself, its task instances, and all tries of each of them.

The records tell what tasks did; only Airflow knows of tries that left none, because their process was killed, and how
long each waited for a worker. The same facts come from its REST API (:mod:`airflow_agentic.trace.airflow_rest`) and,
inside of the api-server, from its database (:mod:`airflow_agentic.trace.airflow_database`).

All times are ISO 8601 in UTC.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterable


class UnknownRunError(TraceError):
    """Airflow doesn't know the run: there never was one, or it was deleted."""


@dataclass(frozen=True, kw_only=True)
class TryFacts:
    """
    One try of a task instance.

    :param state: Airflow's name for it; of an earlier try, how it ended.
    :param hostname: of the worker; null for a try that no worker ran.
    :param reason: of a retry, where Airflow tells it: its REST API doesn't.
    """

    number: int
    state: str | None
    queued: str | None = None
    started: str | None = None
    ended: str | None = None
    hostname: str | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class InstanceFacts:
    """
    One task instance.

    :param map_index: -1 where it isn't mapped.
    :param tries: from the first one, those before a clear too.
    :param question: what people are asked right now: ``subject``, ``body``, ``options``, ``assignees``, ``asked``.
    """

    task_id: str
    map_index: int
    state: str | None
    tries: tuple[TryFacts, ...] = ()
    question: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """
    One run.

    :param type: Airflow's: ``manual``, ``scheduled``, …
    :param by: the name of the user who started it; null when nobody did.
    """

    dag_id: str
    run_id: str
    state: str
    type: str
    by: str | None
    logical_date: str | None
    run_after: str | None
    queued: str | None
    started: str | None
    ended: str | None
    instances: tuple[InstanceFacts, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """The facts as JSON-able data."""
        return asdict(self)


def facts_from_data(data: dict[str, Any]) -> RunFacts:
    """
    Undo :meth:`RunFacts.to_data`.

    :raises KeyError, TypeError: these are none.
    """
    instances = tuple(
        InstanceFacts(**{**instance, "tries": tuple(TryFacts(**each) for each in instance["tries"])})
        for instance in data["instances"]
    )
    return RunFacts(**{**data, "instances": instances})


def all_tries(former: Iterable[TryFacts], current: TryFacts) -> tuple[TryFacts, ...]:
    """
    The tries of a task instance from those in its history and what it is now.

    One that waits for its next try, or was cleared, still carries the number of the last one, which is in the history.
    """
    known = {each.number: each for each in former if each.number > 0}
    if current.number > 0:
        known.setdefault(current.number, current)
    return tuple(known[number] for number in sorted(known))


def utc(time: datetime | str | None) -> str | None:
    """A time as the facts have it; one without a zone is in UTC."""
    if time is None:
        return None
    found = datetime.fromisoformat(time) if isinstance(time, str) else time
    return (found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)).isoformat()
