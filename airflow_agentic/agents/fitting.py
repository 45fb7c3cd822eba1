"""
What was done to a request so that it fits the window of its model, as told by whoever did it.

The text that goes out may be another one than was asked for. So that the record says what was really sent, also of an
attempt that failed or was killed, it is told at once, on the request itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Known:
    """What later attempts of the same request need not find out again."""

    #: a text → its summary, which was paid for
    summaries: dict[str, str] = field(default_factory=dict)
    #: the id of a tool's call → its result before anything was cut
    results: dict[str, Any] = field(default_factory=dict)
    #: what was last told of the conversation
    record: dict[str, Any] | None = None


@dataclass(kw_only=True)
class Fitting:
    """
    How one attempt's request was made to fit.

    :param record: for the attempt's record, JSON-able; None: nothing was cut or summed up.
    :param messages: what was really sent last, opaque; None: what was asked for.
    :param instructions: that were really sent; only meaningful together with ``messages``.
    """

    record: dict[str, Any] | None = None
    messages: list[Any] | None = None
    instructions: str | None = None
    known: Known = field(default_factory=Known)

    def anew(self) -> Fitting:
        """For the next attempt of the same request."""
        return Fitting(known=self.known)
