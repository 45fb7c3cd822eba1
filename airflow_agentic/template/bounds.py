"""
How large a template may be, and the refusal of what is larger before it does harm.

libyaml's composer recurses in C, so that a small file of many brackets ends the process instead of raising an error:
10,000 levels were fine, 30,000 were not. Its parser doesn't recurse, so a text that could be too deep is parsed into
events first; one that can't be, which is nearly every template, costs only a count of its brackets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from yaml._yaml import CParser

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of values in values.
MAX_DEPTH = 60
#: Of values, aliases expanded.
MAX_NODES = 20_000
#: What the composer certainly copes with.
_SAFE_DEPTH = 3_000
#: Characters that can't hold more nodes than are composed in a moment.
_SMALL = 2 * MAX_NODES


def refuse_excess(text: str, lines: Sequence[str], shown: str) -> None:
    """
    Refuse a text with too many values, or too many in each other; what isn't YAML passes.

    :raises TemplateError: it is refused.
    """
    # A block's columns grow with its depth, by one for two levels at most (a list in a mapping stands below its key).
    deepest = text.count("[") + text.count("{") + 2 * max(map(len, lines))
    if deepest <= _SAFE_DEPTH and len(text) <= _SMALL:
        return
    try:
        excess = _excess(text)
    except yaml.YAMLError:
        return
    if excess is not None:
        code, message, index = excess
        before = text[:index]
        line, column = before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1
        problem = Problem(code=code, message=message, path=shown, line=line, column=column, source_line=lines[line - 1])
        raise TemplateError([problem])


def _excess(text: str) -> tuple[str, str, int] | None:
    """What is too much, and where."""
    parser: Any = CParser(text)
    depth = nodes = 0
    try:
        while not isinstance(event := parser.get_event(), yaml.StreamEndEvent):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            nodes += isinstance(event, yaml.NodeEvent)
            if depth > MAX_DEPTH:
                return "AGT105", f"nested deeper than {MAX_DEPTH} levels", event.start_mark.index
            if nodes > 2 * MAX_NODES:
                return "AGT106", f"the file holds more than {MAX_NODES:,} values", event.start_mark.index
    finally:
        parser.dispose()
    return None
