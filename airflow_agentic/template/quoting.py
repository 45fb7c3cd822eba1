"""Hints for the classic accidents of writing Jinja and cron in YAML without quotes."""

from __future__ import annotations

import re

_BARE_BRACES = re.compile(r"^\s*(?:-\s+)*(?:[\w.-]+:\s*)?\{\{")
_BRACES_IN_FLOW = re.compile(r"[{\[,]\s*[\w.-]*:?\s*\{\{")
_COLON_IN_TEXT = re.compile(r"^\s*(?:-\s+)*[\w.-]+:\s+[^'\"|>\s{\[&*!].*:(\s|$)")
_SCHEDULE = re.compile(r"^\s*(schedule|cron)\s*:")
_PRESET = re.compile(r":\s*@\w+")
_FIRST = re.compile(r"(?::|-)\s+([@`])")
_FLOW_EXPRESSION = re.compile(r"\{[^}]*\b(when|accept|by|for_each)\s*:")
_PERCENT = re.compile(r":\s*\{%|:\s*%")
_STAR = re.compile(r"(schedule|cron)\s*:\s*\*")
_TAB = re.compile(r"^ *\t")


def quoting_hint(line: str) -> str | None:
    """What to write instead of a line that YAML misreads, when it is one of the known accidents."""
    if _TAB.search(line):
        return "indent with spaces, not with tabs"
    if _BARE_BRACES.search(line):
        return 'put quotes around the value: "{{ … }}" (in `when`, write the expression without braces)'
    if _STAR.search(line):
        return "put quotes around a cron string: schedule: '0 6 * * MON'"
    if _SCHEDULE.search(line) and _PRESET.search(line):
        return "put quotes around a schedule's preset: schedule: '@daily'"
    first = _FIRST.search(line)
    if first is not None:
        return f"a text that starts with {first[1]} needs quotes"
    if _FLOW_EXPRESSION.search(line):
        return "inside { … }, put the whole expression in quotes: {when: \"x == 'a'\", …}"
    if _PERCENT.search(line):
        return "put quotes around the value, or write it as a block below `|`"
    if _COLON_IN_TEXT.search(line):
        return "a text with ': ' in it needs quotes, or a block below `|`"
    if _BRACES_IN_FLOW.search(line):
        return 'put quotes around the value: "{{ … }}"'
    return None
