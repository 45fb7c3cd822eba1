"""
The seam between a run that wants to spend and where it is kept what was spent.

A *reservation* is a call that may be made. It counts as a call at once, and as the most that it may take until it is
settled with what it took. Its holder keeps it alive by a *lease*; a holder who died is not waited for any longer, and
what he reserved counts as spent, because he may have spent it.

Amounts of money are whole billionths of a dollar here, so that sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["granted", "wait", "refused"]
_WORST_FIRST: tuple[State, ...] = ("refused", "wait", "granted")

#: Seconds that a reservation is waited for without being renewed.
LEASE = 30.0
#: Seconds after which the purse of a run that isn't used any more is forgotten.
KEPT = 90 * 86400.0


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Numbers of calls, of tokens, and of billionths of a US dollar."""

    calls: int = 0
    tokens: int = 0
    nanos: int = 0


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that all sums may come to; None: no bound."""

    calls: int | None = None
    tokens: int | None = None
    nanos: int | None = None


@dataclass(frozen=True, kw_only=True)
class Wish:
    """
    A call that somebody wants to make.

    :param run: whose purse it is.
    :param call: what its reservation shall be called; unique.
    :param bounds: the run's budget.
    :param most, least: of tokens and money; the call itself counts as one.
    """

    run: str
    call: str
    bounds: Bounds
    most: Sums
    least: Sums


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """
    What came of a wish.

    :param state: ``granted``; ``wait`` until others have settled; or ``refused``: even without others it is too much.
    :param granted: what is reserved now.
    :param spent: before this call, those included whose holders have died.
    :param reserved: by others who are at work.
    """

    state: State
    granted: Sums
    spent: Sums
    reserved: Sums


class Purses(Protocol):
    """
    Where all processes find what runs have spent. All methods block, and can be called from any thread.

    Each raises :class:`airflow_agentic.errors.LimiterError` when what is kept can't be reached.
    """

    lease: float

    def reserve(self, wish: Wish) -> Verdict:
        """Reserve what a call may take, if the budget has it."""
        ...

    def renew(self, run: str, call: str) -> None:
        """The call is still at work."""
        ...

    def settle(self, run: str, call: str, tokens: int | None, nanos: int | None) -> None:
        """The call has ended, and took so much; None: nobody knows, and what was reserved is spent."""
        ...

    def give_back(self, run: str, call: str) -> None:
        """The call was not made, or its reservation isn't wanted any more, whether there was one or not."""
        ...


def judged(wish: Wish, spent: Sums, reserved: Sums) -> Verdict:
    """
    May a call be made, and what may it take?

    Less than its most is granted only where nobody else is at work: what others don't use of their reservations would
    be missing otherwise. The script in :mod:`~airflow_agentic.limits.purses_redis` does the same inside Redis; both
    are tested by the same tests.
    """
    states = {"refused" if wish.bounds.calls is not None and spent.calls >= wish.bounds.calls else "granted"}
    granted = {}
    for name in ("tokens", "nanos"):
        bound, most, least = getattr(wish.bounds, name), getattr(wish.most, name), getattr(wish.least, name)
        left = most if bound is None else bound - getattr(spent, name)
        others = 0 if bound is None else getattr(reserved, name)
        if least > left:
            states.add("refused")
        elif others and others + most > left:
            states.add("wait")
        granted[name] = min(most, left)
    state = next(state for state in _WORST_FIRST if state in states)
    return Verdict(
        state=state, granted=Sums(**granted) if state == "granted" else Sums(), spent=spent, reserved=reserved
    )
