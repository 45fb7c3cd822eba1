"""
YAML with positions.

A template's file becomes a tree of nodes (libyaml, in C), and the tree becomes plain data by the rules of YAML 1.2's
core schema, so that ``Yes`` stays a word, ``2026-01-01`` a text and ``12:30`` no number. Positions are looked up in
the tree only when a problem needs one, so a template without problems pays nothing for them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import yaml
from yaml._yaml import CParser

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.bounds import MAX_DEPTH, MAX_NODES, refuse_excess
from airflow_agentic.template.problems import Problem, Problems
from airflow_agentic.template.quoting import quoting_hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: A path into the data: keys and indexes.
Loc = tuple[str | int, ...]

#: Of a template's file.
MAX_BYTES = 500_000

_PLAIN = "plain"
_TEXT = "text"
_KEPT_TAGS = frozenset((_PLAIN, _TEXT, *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))))

_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
#: A plain scalar that starts with none of these is text.
_FIRST = frozenset("+-.0123456789")


class _Composer(CParser):
    """libyaml's parser, up to nodes; what a plain scalar means is decided when the data is made."""

    def resolve(self, _kind: type, _value: str | None, implicit: Any) -> str:
        return _PLAIN if implicit is True or (isinstance(implicit, tuple) and implicit[0]) else _TEXT

    def descend_resolver(self, *_: Any) -> None:
        """Called by the parser; tags don't depend on where a node stands."""

    def ascend_resolver(self) -> None:
        """Called by the parser."""


@dataclass(frozen=True)
class Source:
    """
    A template's text and its nodes.

    :param path: as shown in problems.
    """

    path: str
    text: str
    root: yaml.Node = field(repr=False, compare=False)
    _by_key: dict[int, dict[Any, tuple[yaml.Node | None, yaml.Node]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def lines(self) -> list[str]:
        """The text's lines, without their ends."""
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def place(self, index: int) -> tuple[int, int]:
        """Line and column (from 1) of an offset. Marks have lines too, but YAML also counts U+2028 and others."""
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    def problem(self, code: str, message: str, loc: Loc = (), *, hint: str | None = None, **more: Any) -> Problem:
        """
        A problem at a place in the data.

        :param more: as in :meth:`position`, and ``severity`` as in :class:`Problem`.
        """
        severity = more.pop("severity", "error")
        line, column = self.position(loc, **more)
        return self.problem_at(code, message, line, column, hint=hint, severity=severity)

    def problem_at(self, code: str, message: str, line: int, column: int, **more: Any) -> Problem:
        """A problem at a line and column, both from 1."""
        shown = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Problem(
            code=code, message=message, path=self.path, line=line, column=column, source_line=shown.rstrip("\r"), **more
        )

    def position(
        self, loc: Loc, *, key: bool = False, needle: str | None = None, text_line: int | None = None
    ) -> tuple[int, int]:
        """
        Line and column (from 1) of the node at ``loc``, or of the deepest node on the way that exists.

        :param key: of the key instead of its value.
        :param needle: of that path or word inside the value, if it stands there.
        :param text_line: of that line (from 1) of the value, or of ``needle`` from there on, if it is a block.
        """
        key_node, node = self._find(loc)
        chosen = key_node if key and key_node is not None else node
        start = chosen.start_mark.index
        line, column = self.place(start)
        if text_line is not None and getattr(node, "style", None) in ("|", ">"):
            line = min(line + text_line, len(self.lines))
            column = len(self.lines[line - 1]) - len(self.lines[line - 1].lstrip()) + 1
            start = self._starts[line - 1]
        if needle is not None:
            return self._search(needle, start, node.end_mark.index) or (line, column)
        return line, column

    def _find(self, loc: Loc) -> tuple[yaml.Node | None, yaml.Node]:
        key_node, node = None, self.root
        for part in loc:
            found = self._children(node).get(part if isinstance(node, yaml.SequenceNode) else str(part))
            if found is not None:
                key_node, node = found
        return key_node, node

    def _children(self, node: yaml.Node) -> dict[Any, tuple[yaml.Node | None, yaml.Node]]:
        """A node's key nodes and nodes by key or index, each mapping's merged ones after its own."""
        if id(node) not in self._by_key:
            children: dict[Any, tuple[yaml.Node | None, yaml.Node]] = {}
            self._by_key[id(node)] = children
            if isinstance(node, yaml.SequenceNode):
                children.update((index, (None, child)) for index, child in enumerate(node.value))
            elif isinstance(node, yaml.MappingNode):
                pairs = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
                for key, value in pairs:
                    children.setdefault(key.value, (key, value))
                for part in (part for key, value in pairs if key.value == "<<" for part in _merged(value)):
                    for name, found in self._children(part).items():
                        children.setdefault(name, found)
        return self._by_key[id(node)]

    def _search(self, needle: str, start: int, end: int) -> tuple[int, int] | None:
        """Where ``needle`` stands, rather between braces, and rather at the start of a path."""
        for pattern in _patterns(needle):
            outside = None
            for match in pattern.finditer(self.text, start, end):
                if self._in_braces(start, match.start()):
                    return self.place(match.start())
                outside = match.start() if outside is None else outside
            if outside is not None:
                return self.place(outside)
        return None

    def _in_braces(self, start: int, index: int) -> bool:
        opened = max(self.text.rfind(mark, start, index) for mark in ("{{", "{%"))
        closed = max(self.text.rfind(mark, start, index) for mark in ("}}", "%}"))
        return opened > closed


def _patterns(needle: str) -> Iterator[re.Pattern[str]]:
    """How a path may be written: with dots or brackets, behind another path, or by a name that stands for its start."""
    first, *keys = map(re.escape, needle.split("."))
    steps = [rf"\s*(?:\.\s*{key}(?!\w)|\[\s*(['\"]){key}\{number}\s*\])" for number, key in enumerate(keys, 1)]
    path = rf"{first}(?!\w)" + "".join(steps)
    yield re.compile(rf"(?<![\w.]){path}")
    yield re.compile(rf"(?<!\w){path}")
    if keys:
        yield re.compile(rf"(?<![\w.])\w[\w.]*\.{keys[-1]}(?!\w)")
        yield re.compile(rf"(?<![\w.]){first}(?!\w)")


def read_source(path: Path, shown: str | None = None) -> Source:
    """
    Read a template's file into nodes.

    :raises TemplateError: it can't be read, is too large, is not UTF-8, or is not YAML.
    """
    shown = shown or str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _file_error("AGT103", f"the file is larger than {MAX_BYTES:,} bytes", shown)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _file_error("AGT101", f"the file can't be read: {reason}", shown) from None
    return parse_source(decode(data, shown), shown)


def decode(data: bytes, shown: str) -> str:
    """
    A template's bytes as text, with ``\\n`` as its only line end.

    :raises TemplateError: they are not UTF-8.
    """
    try:
        return _one_line_end(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = _one_line_end(data[: error.start].decode("utf-8-sig", "replace"))
        message = f"the file is not UTF-8 (byte 0x{data[error.start]:02x})"
        raise TemplateError([_after(before, "AGT102", message, shown, hint="save it as UTF-8")]) from None


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _after(before: str, code: str, message: str, shown: str, hint: str | None = None) -> Problem:
    """A problem that stands right after some text."""
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return Problem(code=code, message=message, path=shown, line=line, column=column, hint=hint)


def parse_source(text: str, shown: str) -> Source:
    """
    Compose a template's text.

    :raises TemplateError: it is not YAML, is empty, or holds more than one document.
    """
    lines = text.split("\n")
    refuse_excess(text, lines, shown)
    try:
        composer = _Composer(text)
        try:
            root = composer.get_single_node()
        finally:
            composer.dispose()
    except yaml.MarkedYAMLError as error:
        raise _yaml_error(error, text, lines, shown) from None
    except yaml.reader.ReaderError as error:
        # Its position counts bytes.
        before = text.encode()[: error.position].decode(errors="ignore")
        message = f"the character U+{int(error.character):04X} is not allowed in YAML"
        raise TemplateError([_after(before, "AGT102", message, shown)]) from None
    if root is None:
        raise _file_error("AGT104", "the file is empty", shown, hint="airflow-agentic new NAME writes a starter")
    return Source(shown, text, root)


def to_data(source: Source) -> tuple[Any, list[Problem]]:
    """The tree as plain data, and what is wrong with it; aliases are expanded, ``<<`` is merged."""
    builder = _Builder(source)
    return builder.build(source.root, 0), builder.problems


class _Builder:
    """Makes data of nodes, each node once however many aliases name it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = Problems()
        self._made: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._nodes = 0

    def build(self, node: yaml.Node, depth: int) -> Any:
        self._nodes += 1
        if node.tag not in _KEPT_TAGS:
            self._report("AGT111", node, f"the tag {node.tag} is not allowed", "write a plain value")
            return None
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.tag != _PLAIN else self._scalar(node)
        made = self._made.get(id(node))
        if made is not None:
            self._nodes += made[1] - 1
            self._refuse_bomb(node)
            return made[0]
        before = self._nodes
        value = self._collection(node, depth)
        self._made[id(node)] = value, self._nodes - before + 1
        return value

    def _collection(self, node: yaml.Node, depth: int) -> Any:
        self._refuse_bomb(node)
        if depth >= MAX_DEPTH or id(node) in self._open:
            text = "a value contains itself" if id(node) in self._open else f"nested deeper than {MAX_DEPTH} levels"
            raise TemplateError([self._problem("AGT105", node, text)])
        self._open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            value: Any = self._mapping(node, depth)
        else:
            value = [self.build(child, depth + 1) for child in node.value]
        self._open.discard(id(node))
        return value

    def _refuse_bomb(self, node: yaml.Node) -> None:
        if self._nodes > MAX_NODES:
            message = f"the file holds more than {MAX_NODES:,} values (aliases expanded)"
            raise TemplateError([self._problem("AGT106", node, message)])

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _FIRST:
            return text
        try:
            if _INT.match(text):
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if _FLOAT.match(text):
                return _finite(float(text))
        except ValueError:
            self._report("AGT112", node, "this number is too large", "write it as a quoted text")
            return 0
        if _NOT_FINITE.match(text):
            self._report("AGT112", node, f"{text} is not a number that JSON has", "write it as a quoted text")
            return 0
        return text

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                # Of {{ x }}, the first brace.
                braces = key_node.start_mark.index == node.start_mark.index + 1
                place = node if braces else key_node
                self._report("AGT113", place, "a key must be a text", quoting_hint(self._line(key_node)))
                continue
            if key_node.tag == _PLAIN and key_node.value == "<<":
                self._merge(merged, key_node, value_node, depth)
                continue
            if key_node.value in own:
                self._report("AGT114", key_node, f"the key '{key_node.value}' stands here twice", "remove one of them")
                continue
            own[key_node.value] = self.build(value_node, depth + 1)
        return {**merged, **own} if merged else own

    def _merge(self, merged: dict[str, Any], sign: yaml.Node, node: yaml.Node, depth: int) -> None:
        """``<<``: the keys of a mapping, or of several, the first one winning."""
        for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(part, yaml.MappingNode):
                self._report("AGT115", sign, "<< takes a mapping, or a list of them", "write <<: *anchor")
                continue
            for key, value in self.build(part, depth + 1).items():
                merged.setdefault(key, value)

    def _line(self, node: yaml.Node) -> str:
        return self.source.lines[self.source.place(node.start_mark.index)[0] - 1]

    def _problem(self, code: str, node: yaml.Node, message: str, hint: str | None = None) -> Problem:
        line, column = self.source.place(node.start_mark.index)
        return self.source.problem_at(code, message, line, column, hint=hint)

    def _report(self, code: str, node: yaml.Node, message: str, hint: str | None = None) -> None:
        self.problems.append(self._problem(code, node, message, hint))


def _merged(node: yaml.Node) -> list[yaml.Node]:
    """The mappings that a ``<<`` names."""
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return [part for part in parts if isinstance(part, yaml.MappingNode)]


def _finite(number: float) -> float:
    if number in (float("inf"), float("-inf")):
        raise ValueError("not finite")
    return number


def _file_error(code: str, message: str, shown: str, hint: str | None = None) -> TemplateError:
    return TemplateError([Problem(code=code, message=message, path=shown, line=1, column=1, hint=hint)])


def _yaml_error(error: yaml.MarkedYAMLError, text: str, lines: Sequence[str], shown: str) -> TemplateError:
    """Libyaml's words, with the hint of the quoting accident that caused them where it is a known one."""
    mark = error.problem_mark or error.context_mark
    message = f"not YAML: {error.problem or error.context}"
    if error.problem and error.context:
        message += f" ({error.context})"
    problem = _after(text[: mark.index] if mark is not None else "", "AGT110", message, shown)
    line = lines[problem.line - 1]
    hint = quoting_hint(line)
    if hint is None and error.context_mark is not None:
        started = text.count("\n", 0, error.context_mark.index)
        hint = quoting_hint(lines[started]) if started + 1 != problem.line else None
    if "expected a single document" in str(error):
        hint = "a file holds one template: remove the '---'"
    return TemplateError([replace(problem, source_line=line, hint=hint)])
