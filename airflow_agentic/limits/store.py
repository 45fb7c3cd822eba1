"""
The seam between whoever wants to be let in and where it is kept what was used.

A *ticket* is a place in a connection's queue. It lasts while its owner comes back to ask in time; an owner who said
that he will be away, or has died, is passed over, but finds his place again when he comes. A *grant* is a request that
was let in. While it is at work it holds a slot of ``max_concurrent`` by a *lease*, which ends by itself when nobody
renews it: a crashed process gives its slots back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow_agentic.limits.settings import Limits

#: Seconds of a window.
WINDOW = 60.0
#: Seconds that a lease lasts without being renewed.
LEASE = 30.0
#: Seconds by which an owner of a ticket may be late before he is passed over.
LATE = 3.0
#: Seconds that the ticket of somebody who is away is kept.
KEPT = 6 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Ask:
    """
    A wish to be let in.

    :param connection: whose limits they are.
    :param ticket: the place in the queue; made at the first time.
    :param grant: what the request shall be called once it is let in; unique.
    :param tokens: to reserve.
    """

    connection: str
    limits: Limits
    ticket: str
    grant: str
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    What came of asking.

    :param granted: the request may go, now.
    :param waited: seconds since the ticket was made.
    :param wait, look: see :class:`airflow_agentic.limits.window.Wait`.
    """

    granted: bool
    waited: float
    wait: float = 0.0
    look: float = 0.0


class Store(Protocol):
    """
    Where all processes find what was used. All methods block, and can be called from any thread.

    Each raises :class:`airflow_agentic.errors.LimiterError` when what is kept can't be reached.
    """

    lease: float

    def ask(self, ask: Ask) -> Answer:
        """Let a request in, or say how long to wait."""
        ...

    def step_aside(self, connection: str, ticket: str) -> None:
        """The ticket's owner will be away for a while: others go first."""
        ...

    def leave(self, connection: str, ticket: str, grant: str) -> None:
        """The request isn't wanted any more, whether it was let in or not; nothing of it was sent."""
        ...

    def renew(self, connection: str, grant: str) -> None:
        """The request is still at work."""
        ...

    def settle(self, connection: str, grant: str, tokens: int | None) -> None:
        """The request has ended, and took so many tokens; None: nobody knows."""
        ...
