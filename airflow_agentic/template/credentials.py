"""
Credentials that stand in a template: a literal header, the default of a password.

They belong into a connection, or are asked for at each run. Where a template has one all the same, it is left out
wherever the template is shown: in the DAG's docs, the Code tab, and the records of a run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(
    r"auth(?!ors?\b)|cookie|secret|passw|pwd|credential|signature|session|jwt|bearer|token(?!s)|api[-_]?key|(?<![a-z])key$",
    re.IGNORECASE,
)
_LEFT_OUT = "'***'"


def is_credential(name: str) -> bool:
    """Whether what has this name (a header, a setting) is something to keep secret."""
    return _NAME.search(name) is not None


def without_credentials(text: str) -> str:
    """A template's text without the values of headers that are credentials, and without defaults of passwords."""
    if "headers" not in text and "password" not in text:
        return text
    try:
        tree = yaml.compose(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError):  # no template, so it has no agents either
        return text
    spans = sorted({(node.start_mark.index, node.end_mark.index) for node in _credentials(tree, set())}, reverse=True)
    for start, end in spans:
        ending = text[start:end][len(text[start:end].rstrip()) :]  # a text in lines ends with that of its last line
        text = f"{text[:start]}{_LEFT_OUT}{ending}{text[end:]}"
    return text


def _credentials(node: Any, seen: set[int]) -> Iterator[yaml.ScalarNode]:
    """The values to leave out, wherever in the tree they stand."""
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for part in node.value:
            yield from _credentials(part, seen)
        return
    entries = [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    if any(key == "format" and value.value == "password" for key, value in entries):
        yield from (value for key, value in entries if key == "default" and isinstance(value, yaml.ScalarNode))
    for key, value in entries:
        if key == "headers" and isinstance(value, yaml.MappingNode):
            yield from (part for name, part in value.value if is_credential(str(name.value)) and _is_literal(part))
        yield from _credentials(value, seen)


def _is_literal(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and "{{" not in node.value and "{%" not in node.value
