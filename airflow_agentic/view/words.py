"""Times, amounts and states in words, as the page and the Markdown have them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.trace.document import UsageTrace

NOTHING = "\u2013"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

#: State → what it is called, the colour's name, the sign that stands for it where colours don't.
STATES: dict[str, tuple[str, str, str]] = {
    "success": ("succeeded", "good", "✓"),
    "failed": ("failed", "bad", "✕"),
    "running": ("running", "busy", "▸"),
    "queued": ("queued", "idle", "◦"),
    "scheduled": ("scheduled", "idle", "◦"),
    "planned": ("not begun", "idle", "◦"),
    "retrying": ("failed, tried again", "warn", "↻"),
    "up_for_retry": ("waits for its next try", "warn", "↻"),
    "up_for_reschedule": ("waits for its next try", "warn", "↻"),
    "restarting": ("restarting", "warn", "↻"),
    "deferred": ("waiting", "wait", "◔"),
    "awaiting_input": ("waits for a person", "wait", "◔"),
    "killed": ("killed", "bad", "✕"),
    "lost": ("lost", "bad", "?"),
    "skipped": ("skipped", "idle", "⤼"),
    "upstream_failed": ("not run: something before it failed", "idle", "⤼"),
    "removed": ("removed", "idle", "⤼"),
}


#: Characters that would turn the direction of a text round, that a page can't have, or that are no characters; and
#: those that nobody sees, but an agent reads. (Joiners belong to scripts and emoji, a variation to what it follows.)
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
    "|[\u115f\u1160\u180e\u200b\u2028\u2029\u2060-\u2065\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|(?<=[\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def harmless(text: str) -> str:
    """The text with characters that would show it as something else replaced by their numbers."""
    text = text.replace("\r\n", "\n")
    return _HARMFUL.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def state_words(state: str | None) -> str:
    """A state in words."""
    return STATES[state][0] if state in STATES else str(state or "not begun").replace("_", " ")


def state_colour(state: str | None) -> str:
    """The colour's name of a state."""
    return STATES[state][1] if state in STATES else "idle"


def state_sign(state: str | None) -> str:
    """The sign of a state."""
    return STATES[state][2] if state in STATES else "◦"


def duration(seconds: float | None) -> str:
    """``3.2 s``, ``4 min 05 s``, ``2 d 3 h``."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0005 else "0 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    for unit, name, part, inner in ((_HOUR, "min", 1, "s"), (_DAY, "h", _MINUTE, "min")):
        if whole < unit:
            size = unit // 60 if unit == _HOUR else _HOUR
            return _two(whole, size, name, part, inner)
    return _two(whole, _DAY, "d", _HOUR, "h")


def _two(whole: int, size: int, name: str, part: int, inner: str) -> str:
    first, rest = divmod(whole, size)
    second = rest // part
    return f"{first} {name} {second:02} {inner}" if second else f"{first} {name}"


def moment(text: str | None) -> datetime | None:
    """A time of the trace; None where it is none."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def at(text: str | None) -> str:
    """A time to the second, in UTC."""
    found = moment(text)
    return NOTHING if found is None else f"{found:%Y-%m-%d %H:%M:%S}"


def clock(text: str | None) -> str:
    """The time of day, to the tenth of a second."""
    found = moment(text)
    return NOTHING if found is None else f"{found:%H:%M:%S}.{found.microsecond // 100_000}"


def count(number: float | None) -> str:
    """With thin spaces between thousands."""
    return NOTHING if number is None else f"{number:,}".replace(",", "\u202f")


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 item``, ``2 items``."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def tokens(usage: UsageTrace) -> str:
    """In and out; nothing where none were counted."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return NOTHING
    return f"{count(usage.input_tokens or 0)} in, {count(usage.output_tokens or 0)} out"


def money(usage: UsageTrace) -> str:
    """The cost, with a sign where it is only a part of it."""
    if usage.cost_usd is None:
        return "not known" if usage.partly_known else NOTHING
    return f"{'≥ ' if usage.partly_known else ''}{dollars(usage.cost_usd)}"


def dollars(amount: float) -> str:
    """An amount: to the cent, or of less than a dollar to four digits."""
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def budget_words(budget: Mapping[str, Any]) -> str:
    """What a run might spend."""
    told = []
    if budget.get("calls") is not None:
        told.append(f"{count(budget['calls'])} calls")
    if budget.get("tokens") is not None:
        told.append(f"{count(budget['tokens'])} tokens")
    if budget.get("cost_usd") is not None:
        told.append(dollars(budget["cost_usd"]))
    return ", ".join(told)
