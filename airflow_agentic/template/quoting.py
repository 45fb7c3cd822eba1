"""Hints for the classic accidents of writing Jinja and cron in YAML without quotes."""

from __future__ import annotations

import re

_BARE_BRACES = re.compile(r"^\s*(?:-\s+)?[\w.-]+:\s*\{\{")
_BRACES_IN_FLOW = re.compile(r"[{\[,]\s*[\w.-]*:?\s*\{\{")
_COLON_BEFORE_BRACES = re.compile(r"^\s*(?:-\s+)?[\w.-]+:\s+[^'\"|>\s{\[][^'\"]*:\s")
_PRESET = re.compile(r":\s*@\w+")
_FLOW_EXPRESSION = re.compile(r"\{[^}]*\b(when|accept|by|for_each)\s*:")
_PERCENT = re.compile(r":\s*\{%|:\s*%")
_STAR = re.compile(r"(schedule|cron)\s*:\s*\*")


def quoting_hint(line: str) -> str | None:
    """What to write instead of a line that YAML misreads, when it is one of the known accidents."""
    if _BARE_BRACES.search(line):
        return 'put quotes around the value: "{{ … }}" (in `when`, write the expression without braces)'
    if _PRESET.search(line):
        return "put quotes around a schedule's preset: schedule: '@daily'"
    if _STAR.search(line):
        return "put quotes around a cron string: schedule: '0 6 * * MON'"
    if _FLOW_EXPRESSION.search(line):
        return "inside { … }, put the whole expression in quotes: {when: \"x == 'a'\", …}"
    if _PERCENT.search(line):
        return "put quotes around the value, or write it as a block below `|`"
    if _COLON_BEFORE_BRACES.search(line):
        return "a text with ': ' in it needs quotes, or a block below `|`"
    if _BRACES_IN_FLOW.search(line):
        return 'put quotes around the value: "{{ … }}"'
    return None
