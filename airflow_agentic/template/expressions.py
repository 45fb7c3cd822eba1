"""
The language's one way to write text, data and conditions: Jinja, strict and sandboxed.

What differs from plain Jinja, and why:

* a dot on a mapping reads a key and nothing else (``split.items`` is the field), a dot on anything else is an error,
  and no method can be called: what an agent wrote stays a value, and a template can't reach into Python;
* a missing name or key is *undefined*: it may be chained, is false in ``if``/``and``/``or``/``not``, and is caught by
  ``default(…)`` and ``is defined``; printing, comparing or iterating it is an error, so nothing is ``None`` by
  accident;
* mappings, lists, booleans and null print as JSON, since that is what a model or an API can read;
* a text that is one whole ``{{ … }}`` keeps its native value, which is never parsed again;
* nothing random: equal inputs give equal texts.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace
from jinja2.visitor import NodeTransformer

from airflow_agentic.errors import AgenticError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: What Jinja itself provides with fields of its own.
_JINJA_OBJECTS = (LoopContext, Namespace, Cycler, Joiner, Macro)
_MARKS = ("{{", "{%", "{#")
#: Jinja's filters to which what is undefined is an empty list, or prints.
_LENIENT = ("items", "map", "pprint", "reject", "rejectattr", "select", "selectattr")
#: Jinja's filters of texts, which print other values as Python does, or change a list in place (``indent``).
_OF_TEXT = (
    *("capitalize", "center", "indent", "lower", "striptags", "title", "trim", "truncate", "upper"),
    *("wordcount", "wordwrap"),
)
#: A path in braces, and the words that Jinja doesn't take for names.
_SIMPLE = re.compile(r"(?<!\{)\{\{ *([A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,40}) *\}\}", re.ASCII)
#: Begins the names of what blocks print, where it is told apart.
_BLOCK = "__block_"
_WORDS = frozenset(("true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"))


class ExpressionError(AgenticError):
    """
    An expression or text can't be evaluated.

    :param message: what is wrong, for the template's author.
    :param expression: the text it happened in.
    :param line: the line in that text, from 1, where it is known.
    """

    def __init__(self, message: str, expression: str = "", line: int | None = None) -> None:
        super().__init__(message, expression, line)
        self.message = message
        self.expression = expression
        self.line = line

    def __str__(self) -> str:
        if not self.expression:
            return self.message
        shown = " ".join(self.expression.split())
        return f"{self.message} (in {shown[:200] + '…' if len(shown) > 200 else shown!r})"


class Missing(jinja2.Undefined):
    """A name or key that isn't there: chainable and false, but never printed, compared or iterated."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        return f"{self._undefined_name!r} is undefined"

    __eq__ = __ne__ = __hash__ = __contains__ = jinja2.Undefined._fail_with_undefined_error
    __iter__ = __str__ = __len__ = jinja2.Undefined._fail_with_undefined_error


class _Environment(SandboxedEnvironment):
    """See the module's docstring."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else _missing(attribute)
        if isinstance(obj, jinja2.Undefined):
            return _missing(f"{obj._undefined_name}.{attribute}")
        if isinstance(obj, _JINJA_OBJECTS) and not attribute.startswith("_"):
            return super().getattr(obj, attribute)
        raise jinja2.TemplateRuntimeError(f"{_kind(obj)} has no field {attribute!r}")

    def is_safe_callable(self, obj: Any) -> bool:
        """What Jinja itself provides; no value of the scope can be called, whatever it is."""
        own = isinstance(obj, _JINJA_OBJECTS) or isinstance(getattr(obj, "__self__", None), _JINJA_OBJECTS)
        return own or any(obj is function for function in self.globals.values())

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, jinja2.Undefined):
            return _missing(f"{obj._undefined_name}[{argument!r}]")
        if isinstance(obj, Mapping):
            return obj[argument] if argument in obj else _missing(str(argument))
        if isinstance(obj, (Sequence, range)) and isinstance(argument, (int, slice)):
            try:
                return obj[argument]
            except IndexError:
                return _missing(f"[{argument}]")
        raise jinja2.TemplateRuntimeError(f"{_kind(obj)} has no item {argument!r}")


class _MarkedText(str):
    """A printed value that remembers which ``{{ … }}`` of the text printed it."""

    __slots__ = ("mark",)
    mark: int

    def __str__(self) -> str:
        return self


@dataclass(frozen=True)
class RenderedPassage:
    """
    A part of a rendered text that a ``{{ … }}`` inserted.

    :param start, end: offsets in characters into the rendered text.
    :param expression: what stands between the braces; empty for what a whole block of Jinja printed.
    :param reads: the paths it reads, such as ``("draft", "text")``; ``*`` stands for any item of a list.
    """

    start: int
    end: int
    expression: str
    reads: tuple[tuple[str, ...], ...]


def to_text(value: Any) -> str:
    """How a value prints in a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, jinja2.Undefined):
        return str(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value if isinstance(value, int) else _finite(value))
    return json.dumps(plain(value), ensure_ascii=False)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise jinja2.TemplateRuntimeError(f"{value} is not a number that JSON has")
    return value


def plain(value: Any) -> Any:
    """
    The value as plain data: what filters yield lazily becomes a list.

    :raises jinja2.UndefinedError: a part of it is undefined.
    :raises jinja2.TemplateRuntimeError: a part of it is no data.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, jinja2.Undefined):
        return str(value)
    if isinstance(value, (dict, Mapping)):
        return {key if isinstance(key, str) else to_text(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, range, Iterator)) and not isinstance(value, LoopContext):
        return [plain(part) for part in value]
    raise jinja2.TemplateRuntimeError(f"{_kind(value)} is not data")


def is_text(text: str) -> bool:
    """Whether the text holds no Jinja at all."""
    return not any(mark in text for mark in _MARKS)


def bare(expression: str) -> str:
    """The expression without one enclosing ``{{ }}``."""
    stripped = expression.strip()
    if stripped.startswith("{{") and stripped.endswith("}}") and "{{" not in stripped[2:]:
        return stripped[2:-2].strip()
    return stripped


def render(value: Any, scope: Mapping[str, Any]) -> Any:
    """
    Render a nested value of text keys; everything that is no text stays as it is.

    :param scope: name → plain data; a name that isn't there is undefined.
    :raises ExpressionError: a text can't be rendered.
    """
    if isinstance(value, str):
        return render_text(value, scope)
    if isinstance(value, Mapping):
        return {key: render(part, scope) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [render(part, scope) for part in value]
    return value


def texts_in(value: Any) -> Iterator[str]:
    """All texts in a nested value of text keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts_in(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from texts_in(part)


def render_text(text: str, scope: Mapping[str, Any]) -> Any:
    """
    Render one text key: a whole ``{{ … }}`` keeps its native value, everything else becomes text.

    :raises ExpressionError: it can't be rendered.
    """
    if is_text(text):
        return text
    return _run(text, scope, _native) if whole_expression(text) is not None else render_string(text, scope)


def render_string(text: str, scope: Mapping[str, Any]) -> str:
    """
    Render a text, always to text.

    :raises ExpressionError: it can't be rendered.
    """
    return text if is_text(text) else _run(text, scope, _printed)


def evaluate(expression: str, scope: Mapping[str, Any]) -> Any:
    """
    Evaluate a bare expression, or one in ``{{ }}``, to plain data.

    :raises ExpressionError: it can't be evaluated, or its value is undefined.
    """
    return _run("{{" + bare(expression) + "}}", scope, _native)


def is_true(expression: str, scope: Mapping[str, Any]) -> bool:
    """
    Whether a condition holds; undefined is false.

    :raises ExpressionError: it can't be evaluated.
    """
    return bool(_run("{{" + bare(expression) + "}}", scope, _truth))


def render_passages(text: str, scope: Mapping[str, Any]) -> tuple[str, list[RenderedPassage]]:
    """
    Render a text, and say which part of it was inserted by which expression.

    :raises ExpressionError: it can't be rendered.
    """
    if is_text(text):
        return text, []
    rendered: tuple[str, list[RenderedPassage]] = _run(text, scope, _marked)
    return rendered


def render_changed(text: str, scope: Mapping[str, Any], change: Callable[[str, RenderedPassage], str]) -> str:
    """
    Render a text, with a change to each part that an expression inserted.

    :param change: told the part and where it is from; what stands there instead.
    :raises ExpressionError: it can't be rendered.
    """
    rendered, passages = render_passages(text, scope)
    parts, end = [], 0
    for passage in passages:
        parts += [rendered[end : passage.start], change(rendered[passage.start : passage.end], passage)]
        end = passage.end
    return "".join([*parts, rendered[end:]])


def whole_expression(text: str) -> nodes.Expr | None:
    """The expression, when the text is one whole ``{{ … }}`` and nothing else."""
    if is_text(text):
        return None
    body = parse(text).body
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
        only = body[0].nodes[0]
        return None if isinstance(only, nodes.TemplateData) else only
    return None


@lru_cache(maxsize=16)
def parse(text: str) -> nodes.Template:
    """
    A text's syntax tree. It is shared: nobody may change it.

    Few are kept, for those who ask twice in a row: kept trees make every garbage collection dearer.

    :raises ExpressionError: it isn't Jinja.
    """
    simple = _parse_simple(text)
    if simple is not None:
        return simple
    try:
        return ENVIRONMENT.parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(error.message or "not a valid expression", text, error.lineno) from None
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply", text[:80]) from None
    except ValueError as error:
        raise ExpressionError(f"not a number: {error}", text[:80]) from None


def _parse_simple(text: str) -> nodes.Template | None:
    """
    The tree of a text in which nothing but paths stands between braces; None for any other.

    Most texts of templates are like this, and it takes a tenth of the time of Jinja's own lexer and parser. The tree
    is the same.
    """
    parts = _simple_parts(text)
    if parts is None:
        return None
    printed: list[nodes.Expr] = []
    line = 1
    for index, part in enumerate(parts):
        if index % 2:
            first, *keys = part.split(".")
            expression: nodes.Expr = nodes.Name(first, "load", lineno=line)
            for key in keys:
                expression = nodes.Getattr(expression, key, "load", lineno=line)
            printed.append(expression)
        elif part:
            printed.append(nodes.TemplateData(part, lineno=line))
        line += part.count("\n")
    tree = nodes.Template([nodes.Output(printed, lineno=1)] if printed else [], lineno=1)
    tree.set_environment(ENVIRONMENT)
    return tree


def _simple_parts(text: str) -> list[str] | None:
    """Plain texts and paths in turns, of a text that holds nothing else; None for any other."""
    parts = _SIMPLE.split(text)
    if "\r" in text or "{{{" in text or any(mark in data for data in parts[::2] for mark in _MARKS):
        return None
    return None if any(path.partition(".")[0] in _WORDS for path in parts[1::2]) else parts


def simple_paths(text: str) -> list[tuple[str, int]] | None:
    """
    The paths that a text prints, each with its line (from 1), when nothing but paths stands between braces.

    None for any other text: its syntax tree has to be asked.
    """
    parts = _simple_parts(text)
    if parts is None:
        return None
    if len(parts) == 3 and "\n" not in parts[0]:
        return [(parts[1], 1)]
    lines = [1]
    for part in parts:
        lines.append(lines[-1] + part.count("\n"))
    return [(path, lines[2 * index + 1]) for index, path in enumerate(parts[1::2])]


@lru_cache(maxsize=1024)
def _printed(text: str) -> Callable[[Mapping[str, Any]], str]:
    template = _compile(_fresh(text))
    return lambda scope: "".join(_generate(template, scope))


@lru_cache(maxsize=1024)
def _native(text: str) -> Callable[[Mapping[str, Any]], Any]:
    return _valued(text, lambda expression: expression)


@lru_cache(maxsize=1024)
def _truth(text: str) -> Callable[[Mapping[str, Any]], Any]:
    yes, no = nodes.Const(True, lineno=1), nodes.Const(False, lineno=1)
    return _valued(text, lambda expression: nodes.CondExpr(expression, yes, no, lineno=1))


def _valued(text: str, change: Callable[[nodes.Expr], nodes.Expr]) -> Callable[[Mapping[str, Any]], Any]:
    """A function that gives the value of a text's one expression, after a change to it."""
    if whole_expression(text) is None:
        raise ExpressionError("not one expression", text)
    tree = _fresh(text)
    target = nodes.Name("result", "store", lineno=1)
    tree.body = [nodes.Assign(target, change(tree.body[0].nodes[0]), lineno=1)]  # type: ignore[attr-defined]
    template = _compile(tree)

    def run(scope: Mapping[str, Any]) -> Any:
        context = template.new_context(dict(scope))
        for _ in template.root_render_func(context):
            """The assignment prints nothing."""
        return plain(context.vars["result"])

    return run


@lru_cache(maxsize=64)
def _marked(text: str) -> Callable[[Mapping[str, Any]], tuple[str, list[RenderedPassage]]]:
    from airflow_agentic.template.references import output_reads

    tree = _BlocksInserted().visit(_fresh(text))
    expressions = []
    sources = iter(_expression_sources(text))
    for mark, (output, index, reads) in enumerate(output_reads(tree)):
        expression = output.nodes[index]
        is_block = isinstance(expression, nodes.Name) and expression.name.startswith(_BLOCK)
        name = nodes.Name("__passage", "load", lineno=expression.lineno)
        arguments = [nodes.Const(mark, lineno=expression.lineno), expression]
        output.nodes[index] = nodes.Call(name, arguments, [], None, None, lineno=expression.lineno)
        expressions.append(("" if is_block else next(sources, ""), reads))
    template = _compile(tree)
    return lambda scope: _collect(template, expressions, scope)


class _BlocksInserted(NodeTransformer):
    """
    What a filter block, a call block or a recursive loop prints becomes one insertion.

    Jinja puts it together before it prints it, and then nobody can tell any more what is whose.
    """

    def __init__(self) -> None:
        self._count = 0

    def visit_For(self, node: nodes.For) -> nodes.Node | list[nodes.Node]:  # noqa: N802
        return self._inserted(node) if node.recursive else self.generic_visit(node)

    def _inserted(self, node: nodes.Node) -> list[nodes.Node]:
        self._count += 1
        name, line = f"{_BLOCK}{self._count}", node.lineno
        kept = nodes.AssignBlock(nodes.Name(name, "store", lineno=line), None, [node], lineno=line)
        return [kept, nodes.Output([nodes.Name(name, "load", lineno=line)], lineno=line)]

    visit_FilterBlock = visit_CallBlock = _inserted  # noqa: N815


def _expression_sources(text: str) -> list[str]:
    """What stands between each pair of braces, or in each part of a ``{% print %}``, in order."""
    found: list[str] = []
    parts: list[str] | None = None
    before, depth, printing = "", 0, False
    for _, kind, value in ENVIRONMENT.lexer.tokeniter(text, None):
        if kind == "variable_begin" or (before == "block_begin" and value == "print"):
            parts, depth, printing = [], 0, kind == "name"
        elif parts is not None and (kind in ("variable_end", "block_end") or (printing and value == "," and not depth)):
            found.append("".join(parts).strip())
            parts = [] if value == "," else None
        elif parts is not None:
            parts.append(value)
            depth += (value in "([{") - (value in ")]}") if kind == "operator" else 0
        before = before if kind == "whitespace" else kind
    return found


def _collect(
    template: jinja2.Template, expressions: Sequence[tuple[str, tuple[tuple[str, ...], ...]]], scope: Mapping[str, Any]
) -> tuple[str, list[RenderedPassage]]:
    chunks, passages, offset = [], [], 0
    for chunk in _generate(template, scope):
        end = offset + len(chunk)
        if isinstance(chunk, _MarkedText):
            expression, reads = expressions[chunk.mark]
            passages.append(RenderedPassage(offset, end, expression, reads))
        chunks.append(chunk)
        offset = end
    return "".join(chunks), passages


def _generate(template: jinja2.Template, scope: Mapping[str, Any]) -> Iterable[str]:
    return template.root_render_func(template.new_context(dict(scope)))


def _run(text: str, scope: Mapping[str, Any], compiled: Callable[[str], Callable[[Mapping[str, Any]], Any]]) -> Any:
    """
    Compile a text and call it. Whatever goes wrong is the text's own error: nothing but the text and plain data takes
    part in it, and Jinja's filters raise whatever Python raises.
    """
    try:
        return compiled(text)(scope)
    except AgenticError:
        raise
    except jinja2.TemplateError as error:
        raise ExpressionError(error.message or type(error).__name__, text, getattr(error, "lineno", None)) from None
    except Exception as error:
        raise ExpressionError(f"{error}" or type(error).__name__, text) from None


def _fresh(text: str) -> nodes.Template:
    """A tree of one's own, with every ``~`` printing as the language prints."""
    parse(text)  # for the error
    tree = _parse_simple(text) or ENVIRONMENT.parse(text)
    for concat in tree.find_all(nodes.Concat):
        concat.nodes = [nodes.Filter(part, "string", [], [], None, None, lineno=part.lineno) for part in concat.nodes]
    return tree


def _compile(tree: nodes.Template) -> jinja2.Template:
    return ENVIRONMENT.from_string(tree)


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")


def _missing(name: str) -> Missing:
    return Missing(name=name)


def _slug(value: Any) -> str:
    """A text as part of a file name: lower case, words joined by hyphens, at most 80 characters."""
    text = unicodedata.normalize("NFKC", to_text(value)).lower()
    return re.sub(r"[\W_]+", "-", text).strip("-")[:80].rstrip("-") or "untitled"


def _flatten(value: Iterable[Any]) -> list[Any]:
    """One level of nesting less."""
    return [part for parts in value for part in (parts if isinstance(parts, (list, tuple)) else [parts])]


def _ratio(part: float, total: float) -> float:
    """``part / total``; 0 of 0 is 0."""
    return 0.0 * _there(part) if total == 0 else part / total


def _there(value: Any) -> Any:
    """
    The value itself.

    :raises jinja2.UndefinedError: it is undefined.
    """
    if isinstance(value, jinja2.Undefined):
        str(value)
    return value


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    """Jinja's ``format``, in which what is no text and no number prints as the language prints."""
    named = {key: _format_argument(argument) for key, argument in kwargs.items()}
    return to_text(value) % (named or tuple(map(_format_argument, args)))


def _format_argument(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else to_text(value)


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    """Jinja's ``replace``, of values as the language prints them."""
    return to_text(value).replace(to_text(old), to_text(new), -1 if count is None else count)


def _handed(function: Callable[..., Any], prepare: Callable[[Any], Any]) -> Callable[..., Any]:
    """A filter of Jinja's that is handed what ``prepare`` makes of its value."""
    index = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def handed(*args: Any, **kwargs: Any) -> Any:
        return function(*args[:index], prepare(args[index]), *args[index + 1 :], **kwargs)

    return handed


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(plain(value), ensure_ascii=False, indent=indent)


def _join(value: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    """Jinja's ``join``, printing its items as the language prints."""
    if attribute is not None:
        get = jinja2.filters.make_attrgetter(ENVIRONMENT, attribute)
        value = (get(part) for part in value)
    return separator.join(to_text(part) for part in value)


def _passage(mark: int, value: Any) -> str:
    text = _MarkedText(to_text(value))
    text.mark = mark
    return text


def _make_environment() -> _Environment:
    environment = _Environment(
        undefined=Missing, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=to_text
    )
    filters = environment.filters
    filters.update({name: _handed(filters[name], _there) for name in _LENIENT})
    filters.update({name: _handed(filters[name], to_text) for name in _OF_TEXT})
    filters.update(slug=_slug, flatten=_flatten, ratio=_ratio, tojson=_tojson, string=to_text, join=_join)
    filters.update(format=_format, replace=_replace)
    for name in ("random", "xmlattr", "forceescape", "safe", "escape", "e", "urlize"):
        filters.pop(name, None)
    kept = ("range", "dict", "namespace", "cycler", "joiner")
    environment.globals = {name: value for name, value in environment.globals.items() if name in kept}
    environment.globals["__passage"] = _passage
    return environment


ENVIRONMENT = _make_environment()
#: What a template may name without declaring it.
GLOBALS = tuple(name for name in ENVIRONMENT.globals if not name.startswith("_"))
