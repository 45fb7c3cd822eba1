"""
A request that is longer than its agent's window: cut, summed up, or refused.

Imports pydantic-ai, so it is itself imported only when a request of an llm agent doesn't fit.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.llm_limits import BYTES_PER_TOKEN
from airflow_agentic.agents.window import TooLongError, longest, shortened
from airflow_agentic.agents.window_text import cut_text, text_bytes, with_note
from airflow_agentic.agents.window_values import NOTE, left_out_note, takes_note
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_ai.settings import ModelSettings

    from airflow_agentic.agents.llm_sources import Sources
    from airflow_agentic.agents.llm_summaries import Summarizer
    from airflow_agentic.agents.llm_tokens import Counted, TokenCounter
    from airflow_agentic.agents.window import Shortened
    from airflow_agentic.agents.window_values import Path

#: The share of a cut list's length that the summary of the rest may have.
_OF_SUMMARY = 0.25
#: The share of the window that is filled where tools may still return something: otherwise each turn would cut anew.
_WITH_TOOLS = 0.75
#: How often values are cut because the provider counts otherwise than was expected, and what is close enough.
_MOST_CUTS = 4
_CLOSE = 0.1
#: How many of the longest inputs an error names.
_NAMED = 3


class Overflow:
    """
    One request that is too long.

    :param most: tokens that it may have.
    :param counted: how many it has.
    """

    def __init__(
        self, sources: Sources, most: int, counted: Counted, counter: TokenCounter, settings: ModelSettings | None
    ) -> None:
        self._sources = sources
        self._most = most
        self._counted = counted
        self._counter = counter
        self._settings = settings
        self._ratio = counted.ratio
        #: what was left out, for the record
        self.cuts: list[dict[str, Any]] = []
        #: tokens that are left
        self.tokens = counted.tokens

    async def truncated(self) -> dict[str, Any]:
        """
        What the request is made from, cut so that it fits.

        :raises FinalError: it can't be.
        """
        found = await self._cut(self._sources.values)
        self._tell(found, {})
        return found.values()

    async def summed_up(self, summarizer: Summarizer) -> dict[str, Any]:
        """
        What the request is made from, with summaries in place of what doesn't fit; cut where these are too long.

        :raises FinalError: it can't be made to fit.
        """
        found = await self._cut(self._sources.values, spare=_OF_SUMMARY)
        summaries: dict[Path, str] = {}
        for cut in found.cuts:
            if summarizer.may_ask and takes_note(found.kept, cut):
                text = cut.rest if isinstance(cut.rest, str) else "\n\n".join(map(_as_text, cut.rest))
                summary = await summarizer.summary(text, cut.room, self._sources.shown(cut.path))
                summaries[cut.path] = _within(summary, cut.room)
        self._tell(found, summaries)
        again = await self._cut(found.values(summaries))
        self._tell(again, {})
        return again.values()

    async def _cut(self, values: Mapping[str, Any], *, spare: float = 0.0) -> Shortened:
        """Cut values until the request fits, by the provider's own count where there is one."""
        most = int(self._most * _WITH_TOOLS) if self._sources.has_tools else self._most
        for _ in range(_MOST_CUTS):
            expected = self._ratio
            try:
                found = shortened(values, self._measure(expected), most, spare=spare)
            except TooLongError as error:
                raise self.error(least=error.least) from None
            counted = await self._counter.count(self._sources.made(found.values())[0], self._settings)
            self.tokens, fits = counted.tokens, counted.tokens <= self._most
            if counted.by == "provider":
                self._ratio = counted.ratio
            if fits and (not found.cuts or abs(self._ratio / expected - 1) < _CLOSE):
                break
        if not fits:
            raise self.error(least=self.tokens)
        return found

    def _measure(self, ratio: float) -> Callable[[Mapping[str, Any]], int]:
        return lambda values: math.ceil(self._sources.made(values)[0].estimated_tokens() * ratio)

    def _tell(self, found: Shortened, summaries: Mapping[Path, str]) -> None:
        for cut in found.cuts:
            summed_up = cut.path in summaries
            left_out = cut.of if summed_up and cut.unit != "items" else cut.left_out
            entry = {"path": self._sources.shown(cut.path), "unit": cut.unit, "left_out": left_out, "of": cut.of}
            self.cuts.append({**entry, "summed_up": summed_up})

    def error(self, *, least: int | None = None) -> FinalError:
        """
        Why nothing is sent.

        :param least: tokens that the request has with all cut that can be; None: nothing was to be cut.
        """
        inputs = [
            {"path": self._sources.shown(path), "tokens": math.ceil(size * self._counted.ratio / BYTES_PER_TOKEN)}
            for path, size in longest(self._sources.values)[:_NAMED]
        ]
        by = "counted by the provider" if self._counted.by == "provider" else "estimated"
        message = (
            f"The request has {self._counted.tokens:,} tokens ({by}), and the agent's window is {self._most:,}. "
            f"{_longest(inputs)}{_advice(least)}"
        )
        details = {
            "tokens": self._counted.tokens,
            "counted_by": self._counted.by,
            "window": self._most,
            "longest": inputs,
            **({} if least is None else {"least": least}),
        }
        return FinalError(message, kind="window_exceeded", details=details)


def _longest(inputs: list[dict[str, Any]]) -> str:
    named = ", ".join(f"{entry['path']} ({entry['tokens']:,})" for entry in inputs)
    return f"The longest of what it reads, in tokens: {named}. " if named else "Nothing that it reads is long. "


def _advice(least: int | None) -> str:
    if least is None:
        return (
            "Give the agent less to read, raise window.max_tokens as far as the model allows, or let window.overflow "
            "be truncate or summarize."
        )
    return (
        f"With all of that cut it would still have {least:,}: the template's own texts, many short values, the tools "
        "or the output's schema are too long. Shorten these, or raise window.max_tokens as far as the model allows."
    )


def _as_text(item: Any) -> str:
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def _within(summary: str, room: int) -> str:
    """A summary that isn't longer than its room, give or take the note that says so."""
    if len(text_bytes(summary)) <= room:
        return summary
    kept, unit, left_out, of = cut_text(summary, room - NOTE)
    return with_note(kept, left_out_note(left_out, of, unit), apart=False)
