"""
What an expression reads, found in its syntax tree.

A *reference* is a path from a name of the template (``draft.citations``), with two facts that decide how stages
depend on each other: whether the text copes with its absence (it is *guarded*), and which paths the surrounding
conditions have shown to be there. Loop variables are followed: in ``{% for c in draft.citations %}{{ c.quote }}``
the second read is ``draft.citations.*.quote``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jinja2 import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Names and keys from the root; ``*`` is any item of a list.
Path = tuple[str, ...]
_NOTHING: frozenset[Path] = frozenset()
#: Stands among what conditions have shown, before a name that isn't there, where a text reads something else instead.
_INSTEAD = ""
#: Names that are always there, or that no stage stands for.
_NO_STAGES = frozenset(
    ("inputs", "run", "input", "output", "item", "index", "round", "feedback", "error", "artifact", "loop")
)

#: What Python can compile: it nests 200 parentheses and 20 loops, and one value of ours is up to three parentheses.
MAX_DEPTH = 60
MAX_LOOPS = 15
_GUARDING_TESTS = ("defined", "undefined")
_DEFAULT_FILTERS = ("default", "d")
#: Filters whose result has the items of what they are given.
_KEEPS_ITEMS = frozenset(("list", "sort", "reverse", "unique", "select", "reject", "selectattr", "rejectattr"))
#: What literals are, and what filters give.
_KINDS: dict[type, str] = {str: "text", int: "number", float: "number", bool: "boolean"}
_FILTER_KINDS = {
    **dict.fromkeys(("length", "count", "wordcount", "int", "float", "round", "abs", "ratio"), "number"),
    **dict.fromkeys(("upper", "lower", "trim", "title", "capitalize", "join", "string", "tojson", "slug"), "text"),
    **dict.fromkeys(("list", "sort", "unique"), "list"),
}


@dataclass(frozen=True)
class Reference:
    """
    One read.

    :param path: from a name that is not the text's own.
    :param guarded: the text copes with the absence of the whole name.
    :param optional: the text copes with the absence of this very path.
    :param known: the paths that the surrounding conditions have shown to be there.
    :param line: in the text, from 1.
    :param instead: the text copes with the absence of the name only while another one is there: ``a | default(b)``.
    """

    path: Path
    guarded: bool
    optional: bool
    known: frozenset[Path]
    line: int
    instead: bool = False

    @property
    def name(self) -> str:
        """The name that the path starts from."""
        return self.path[0]

    def copes_without(self, prefix: Path) -> bool:
        """Whether the text copes when ``prefix`` of the path isn't there."""
        return self.optional or any(path[: len(prefix)] == prefix for path in self.known)


@dataclass(frozen=True)
class Misuse:
    """
    Jinja that the language doesn't have.

    :param needle: the word to point at.
    :param line: of the text, from 1.
    :param known: the names of which one may have been meant.
    """

    message: str
    needle: str | None
    line: int
    hint: str | None = None
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operand:
    """
    One side of a comparison, as far as it can be known.

    :param path: what is read, if it is nothing but a path.
    :param value: the literal, if it is one.
    :param kind: what a literal or a filter's result is: ``text``, ``number``, ``boolean``, ``list``.
    """

    path: Path | None = None
    value: Any = None
    kind: str | None = None


@dataclass(frozen=True)
class Comparison:
    """
    Two values compared.

    :param operator: as Jinja's syntax tree calls it: ``eq``, ``ne``, ``gt``, ``gteq``, ``lt``, ``lteq``, ``in``,
        ``notin``.
    :param line: in the text, from 1.
    """

    left: Operand
    operator: str
    right: Operand
    line: int


@dataclass
class _Local:
    """A name of the text's own: the path it stands for, if that is known, and all that went into it."""

    path: Path | None
    reads: tuple[Path, ...] = ()


@dataclass
class _Walk:
    depth: int = 0
    loops: int = 0
    references: list[Reference] = field(default_factory=list)
    misuses: list[Misuse] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    #: what each ``{{ … }}`` reads, where somebody wants to know
    outputs: list[tuple[nodes.Output, int, tuple[Path, ...]]] | None = None
    locals: dict[str, _Local] = field(default_factory=dict)


def plain_read(path: str, line: int) -> Reference:
    """The read of a path that a text just prints."""
    return Reference(tuple(path.split(".")), False, False, _NOTHING, line)


def analyse(tree: nodes.Node, *, strict: bool = True) -> tuple[list[Reference], list[Misuse], list[Comparison]]:
    """
    All reads of a tree, the Jinja in it that the language doesn't have, and its comparisons.

    :param strict: the tree's value is used, and not only asked for its truth.
    """
    walk = _Walk()
    _visit(walk, tree, strict=strict, known=_NOTHING)
    return walk.references, walk.misuses, walk.comparisons


def output_reads(tree: nodes.Template) -> list[tuple[nodes.Output, int, tuple[Path, ...]]]:
    """Every ``{{ … }}`` of a tree: its node, its place in it, and what it reads."""
    outputs: list[tuple[nodes.Output, int, tuple[Path, ...]]] = []
    _visit(_Walk(outputs=outputs), tree, strict=True, known=_NOTHING)
    return outputs


def path_of(node: nodes.Node, names: Mapping[str, _Local] | None = None) -> Path | None:
    """The path that an expression is, if it is nothing but one."""
    if isinstance(node, nodes.Name):
        local = (names or {}).get(node.name)
        return (node.name,) if local is None else local.path
    key: str | None = None
    if isinstance(node, nodes.Getattr):
        key = node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        key = node.arg.value if isinstance(node.arg.value, str) else "*"
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Neg):
        key = "*"
    if key is None:
        return None
    base = path_of(node.node, names)  # type: ignore[attr-defined]
    return None if base is None else (*base, key)


_PATHS = (nodes.Name, nodes.Getattr, nodes.Getitem)


def _visit(walk: _Walk, node: nodes.Node, *, strict: bool, known: frozenset[Path]) -> None:
    """
    Record what a node reads.

    :param strict: the node's value is used, so that it must be there; otherwise only asked for its presence or truth.
    :param known: the paths that hold something here.
    """
    if isinstance(node, _PATHS):
        _visit_path(walk, node, strict=strict, known=known)
        return
    walk.depth += 1
    if walk.depth > MAX_DEPTH:
        raise _too_deep(node)
    special = _VISITORS.get(type(node))
    if special is not None:
        special(walk, node, strict, known)
    else:
        for child in node.iter_child_nodes():
            _visit(walk, child, strict=True, known=known)
    walk.depth -= 1


def _too_deep(node: nodes.Node) -> Exception:
    from airflow_agentic.template.expressions import ExpressionError

    return ExpressionError("the expression is nested too deeply", line=node.lineno)


def _visit_path(walk: _Walk, node: nodes.Expr, *, strict: bool, known: frozenset[Path]) -> None:
    if isinstance(node, nodes.Name) and (node.ctx != "load" or node.name in walk.locals):
        local = walk.locals.get(node.name)
        if node.ctx == "load" and local is not None and local.path is not None:
            _record(walk, local.path, node.lineno, strict=strict, known=known)
        return
    path = path_of(node, walk.locals)
    if path is not None:
        _record(walk, path, node.lineno, strict=strict, known=known)
        return
    for child in node.iter_child_nodes():
        _visit(walk, child, strict=strict if child is getattr(node, "node", None) else True, known=known)


def _record(walk: _Walk, path: Path, line: int, *, strict: bool, known: frozenset[Path]) -> None:
    if len(path) > MAX_DEPTH:
        raise _too_deep(nodes.Name("", "load", lineno=line))
    shown = frozenset(fact for fact in known if fact[0] == path[0]) if known else known
    copes = not strict or bool(shown)
    instead = not copes and any(fact[0] == _INSTEAD and fact[1] != path[0] for fact in known)
    walk.references.append(Reference(path, copes or instead, not strict, shown, line, instead))


def _visit_filter(walk: _Walk, node: nodes.Filter, strict: bool, known: frozenset[Path]) -> None:
    from airflow_agentic.template.expressions import ENVIRONMENT

    _check_named(walk, node, "filter", ENVIRONMENT.filters)
    if node.name not in _DEFAULT_FILTERS:
        _visit_asking(walk, node, (), known)
        return
    # What stands in for a value is used like the value itself would be, and only where that one is missing.
    instead = known | _instead_of(walk, node.node)
    for child in node.iter_child_nodes():
        is_asked = child is node.node
        _visit(walk, child, strict=strict and not is_asked, known=known if is_asked else instead)


def _visit_test(walk: _Walk, node: nodes.Test, _strict: bool, known: frozenset[Path]) -> None:
    from airflow_agentic.template.expressions import ENVIRONMENT

    _check_named(walk, node, "test", ENVIRONMENT.tests)
    _visit_asking(walk, node, _GUARDING_TESTS, known)


def _check_named(walk: _Walk, node: nodes.Filter | nodes.Test, what: str, names: Mapping[str, object]) -> None:
    if node.name not in names:
        message = f"there is no {what} '{node.name}'"
        walk.misuses.append(Misuse(message, node.name, node.lineno, known=tuple(names)))


def _visit_asking(
    walk: _Walk, node: nodes.Filter | nodes.Test, asking: tuple[str, ...], known: frozenset[Path]
) -> None:
    """Filters and tests use their value, but for those that only ask whether it is there."""
    for child in node.iter_child_nodes():
        asked = child is node.node and node.name in asking
        _visit(walk, child, strict=not asked, known=known)


def _instead_of(walk: _Walk, asked: nodes.Node | None) -> frozenset[Path]:
    """What a text reads in the place of a name that isn't there, it can do without when that one is there."""
    path = None if asked is None else path_of(asked, walk.locals)
    return frozenset(((_INSTEAD, path[0]),)) if path and path[0] not in _NO_STAGES else _NOTHING


def _otherwise(walk: _Walk, test: nodes.Node) -> frozenset[Path]:
    """What is shown where a condition didn't hold; of one that asks for a name, that this one isn't there."""
    asks = isinstance(test, nodes.Test) and test.name == "defined"
    return _facts(walk, test, False) | (_instead_of(walk, test.node) if asks else _NOTHING)  # type: ignore[attr-defined]


def _visit_and(walk: _Walk, node: nodes.And, strict: bool, known: frozenset[Path]) -> None:
    # What is false is the value: of `a and b` without a, what is missing.
    _visit(walk, node.left, strict=strict, known=known)
    _visit(walk, node.right, strict=strict, known=known | _facts(walk, node.left, True))


def _visit_or(walk: _Walk, node: nodes.Or, strict: bool, known: frozenset[Path]) -> None:
    _visit(walk, node.left, strict=False, known=known)
    _visit(walk, node.right, strict=strict, known=known | _facts(walk, node.left, False))


def _visit_not(walk: _Walk, node: nodes.Not, _strict: bool, known: frozenset[Path]) -> None:
    _visit(walk, node.node, strict=False, known=known)


def _visit_compare(walk: _Walk, node: nodes.Compare, _strict: bool, known: frozenset[Path]) -> None:
    left = node.expr
    for operand in node.ops:
        compared = Comparison(_operand(walk, left), operand.op, _operand(walk, operand.expr), node.lineno)
        walk.comparisons.append(compared)
        left = operand.expr
    for child in node.iter_child_nodes():
        _visit(walk, child, strict=True, known=known)


def _operand(walk: _Walk, node: nodes.Expr) -> Operand:
    if isinstance(node, nodes.Neg):
        inner = _operand(walk, node.node)
        return (
            Operand(None, -inner.value, "number") if inner.kind == "number" and inner.value is not None else Operand()
        )
    if isinstance(node, nodes.Const):
        return Operand(None, node.value, _KINDS.get(type(node.value)))
    if isinstance(node, nodes.Filter):
        return Operand(kind=_FILTER_KINDS.get(node.name))
    if isinstance(node, nodes.Concat):
        return Operand(kind="text")
    return Operand(path_of(node, walk.locals))


def _visit_cond(walk: _Walk, node: nodes.CondExpr, strict: bool, known: frozenset[Path]) -> None:
    _visit(walk, node.test, strict=False, known=known)
    _visit(walk, node.expr1, strict=strict, known=known | _facts(walk, node.test, True))
    if node.expr2 is not None:
        _visit(walk, node.expr2, strict=strict, known=known | _otherwise(walk, node.test))


def _visit_if(walk: _Walk, node: nodes.If, _strict: bool, known: frozenset[Path]) -> None:
    for branch in [node, *node.elif_]:
        _visit(walk, branch.test, strict=False, known=known)
        for child in branch.body:
            _visit(walk, child, strict=True, known=known | _facts(walk, branch.test, True))
        known = known | _otherwise(walk, branch.test)
    for child in node.else_:
        _visit(walk, child, strict=True, known=known)


def _visit_for(walk: _Walk, node: nodes.For, _strict: bool, known: frozenset[Path]) -> None:
    _visit(walk, node.iter, strict=True, known=known)
    items = _items_of(walk, node.iter)
    walk.loops += 1
    if walk.loops > MAX_LOOPS:
        raise _too_deep(node)
    with _Locals(walk) as names:
        if isinstance(node.target, nodes.Name):
            names[node.target.name] = items
        else:
            names.update({name.name: _Local(None, items.reads) for name in node.target.find_all(nodes.Name)})
        names["loop"] = _Local(None, items.reads)
        # Where there is an item, there is the list.
        facts = known if items.path is None else known | {items.path[:-1]}
        if node.test is not None:
            _visit(walk, node.test, strict=False, known=facts)
            facts = facts | _facts(walk, node.test, True)
        for child in node.body:
            _visit(walk, child, strict=True, known=facts)
    walk.loops -= 1
    for child in node.else_:
        _visit(walk, child, strict=True, known=known)


def _visit_assign(walk: _Walk, node: nodes.Assign, _strict: bool, known: frozenset[Path]) -> None:
    reads = _reads_of(walk, node.node, known)
    if isinstance(node.target, nodes.Name):
        walk.locals[node.target.name] = _Local(path_of(node.node, walk.locals), reads)
    else:
        walk.locals.update({name.name: _Local(None, reads) for name in node.target.find_all(nodes.Name)})


def _visit_block_assign(walk: _Walk, node: nodes.AssignBlock, _strict: bool, known: frozenset[Path]) -> None:
    reads = tuple(dict.fromkeys(path for child in node.body for path in _reads_of(walk, child, known)))
    if node.filter is not None:
        _visit(walk, node.filter, strict=True, known=known)
    walk.locals.update({name: _Local(None, reads) for name in _names(node.target)})


def _visit_with(walk: _Walk, node: nodes.With, _strict: bool, known: frozenset[Path]) -> None:
    values = [(path_of(value, walk.locals), _reads_of(walk, value, known)) for value in node.values]
    with _Locals(walk) as names:
        for target, (path, reads) in zip(node.targets, values, strict=True):
            for name in _names(target):
                names[name] = _Local(path if isinstance(target, nodes.Name) else None, reads)
        for child in node.body:
            _visit(walk, child, strict=True, known=known)


def _names(target: nodes.Node) -> list[str]:
    """The names that an assignment's target brings in."""
    found = [target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name)
    return [name.name for name in found]


def _visit_macro(walk: _Walk, node: nodes.Macro | nodes.CallBlock, _strict: bool, known: frozenset[Path]) -> None:
    if isinstance(node, nodes.Macro):
        walk.locals[node.name] = _Local(None)
    else:
        _visit(walk, node.call, strict=True, known=known)
    for default in node.defaults:
        _visit(walk, default, strict=True, known=known)
    with _Locals(walk) as names:
        names.update({name.name: _Local(None) for name in node.args})
        names.update({name: _Local(None) for name in ("caller", "varargs", "kwargs")})
        for child in node.body:
            _visit(walk, child, strict=True, known=known)


def _visit_call(walk: _Walk, node: nodes.Call, _strict: bool, known: frozenset[Path]) -> None:
    from airflow_agentic.template.expressions import GLOBALS

    target = node.node
    if isinstance(target, nodes.Name):
        if target.name not in walk.locals and target.name not in GLOBALS:
            hint = f"write {{{{ value | {target.name} }}}} for a filter" if _is_filter(target.name) else None
            message = f"there is no function '{target.name}'"
            walk.misuses.append(Misuse(message, target.name, node.lineno, hint))
    elif not (isinstance(target, nodes.Getattr) and _is_local(walk, target.node)):
        name = target.attr if isinstance(target, nodes.Getattr) else None
        hint = f"use the filter: value | {name}" if name and _is_filter(name) else "a dot reads a key of a mapping"
        message = f"'{name}' can't be called: values have no methods" if name else "a value can't be called"
        walk.misuses.append(Misuse(message, name, node.lineno, hint))
    for child in node.iter_child_nodes():
        if child is not target:
            _visit(walk, child, strict=True, known=known)


def _visit_output(walk: _Walk, node: nodes.Output, _strict: bool, known: frozenset[Path]) -> None:
    for index, child in enumerate(node.nodes):
        if isinstance(child, nodes.TemplateData):
            continue
        if walk.outputs is None:
            _visit(walk, child, strict=True, known=known)
        else:
            walk.outputs.append((node, index, _reads_of(walk, child, known)))


def _visit_refused(walk: _Walk, node: nodes.Node, _strict: bool, _known: frozenset[Path]) -> None:
    word = {"FromImport": "from", "Extends": "extends", "Include": "include", "Import": "import", "Block": "block"}
    word["ScopedEvalContextModifier"] = "autoescape"
    name = word.get(type(node).__name__, type(node).__name__.lower())
    walk.misuses.append(Misuse(f"'{{% {name} %}}' is not part of the language", name, node.lineno))


_VISITORS: dict[type[nodes.Node], Any] = {
    nodes.Filter: _visit_filter,
    nodes.Test: _visit_test,
    nodes.And: _visit_and,
    nodes.Or: _visit_or,
    nodes.Compare: _visit_compare,
    nodes.Not: _visit_not,
    nodes.CondExpr: _visit_cond,
    nodes.If: _visit_if,
    nodes.For: _visit_for,
    nodes.Assign: _visit_assign,
    nodes.AssignBlock: _visit_block_assign,
    nodes.With: _visit_with,
    nodes.Macro: _visit_macro,
    nodes.CallBlock: _visit_macro,
    nodes.Call: _visit_call,
    nodes.Output: _visit_output,
    **dict.fromkeys((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block), _visit_refused),
    nodes.ScopedEvalContextModifier: _visit_refused,
}


class _Locals:
    """Names that a block brings in, gone at its end."""

    def __init__(self, walk: _Walk) -> None:
        self.walk = walk
        self.outer = walk.locals

    def __enter__(self) -> dict[str, _Local]:
        self.walk.locals = dict(self.outer)
        return self.walk.locals

    def __exit__(self, *_: object) -> None:
        self.walk.locals = self.outer


def _facts(walk: _Walk, test: nodes.Node, outcome: bool) -> frozenset[Path]:
    """The paths that hold something when a condition came out like that."""
    if isinstance(test, nodes.Not):
        return _facts(walk, test.node, not outcome)
    if isinstance(test, (nodes.And, nodes.Or)):
        left, right = _facts(walk, test.left, outcome), _facts(walk, test.right, outcome)
        return left | right if isinstance(test, nodes.And) == outcome else left & right
    if isinstance(test, nodes.Test):
        if (test.name == "defined") == outcome and test.name in _GUARDING_TESTS:
            path = path_of(test.node, walk.locals)
            return frozenset() if path is None else frozenset((path,))
        return frozenset()
    if isinstance(test, nodes.Filter) and test.name in _DEFAULT_FILTERS and test.node is not None:
        return _facts(walk, test.node, True) if outcome and _defaults_to_nothing(test) else _NOTHING
    path = path_of(test, walk.locals)
    return frozenset((path,)) if path is not None and outcome else frozenset()


def _defaults_to_nothing(node: nodes.Filter) -> bool:
    """Whether a ``default`` gives what is false, so that what is true isn't from it."""
    given = node.args[0] if node.args else nodes.Const("")
    empty = isinstance(given, (nodes.List, nodes.Dict)) and not given.items
    return not node.kwargs and (empty or (isinstance(given, nodes.Const) and not given.value))


def _reads_of(walk: _Walk, node: nodes.Node, known: frozenset[Path]) -> tuple[Path, ...]:
    """Visit a node; the paths that it read, with what its local names are made of."""
    before = len(walk.references)
    _visit(walk, node, strict=True, known=known)
    paths = [reference.path for reference in walk.references[before:]]
    names = [node] if isinstance(node, nodes.Name) else []
    for name in [*names, *node.find_all(nodes.Name)]:
        local = walk.locals.get(name.name)
        if local is not None and local.path is None:
            paths.extend(local.reads)
    return tuple(dict.fromkeys(paths))


def _items_of(walk: _Walk, node: nodes.Node) -> _Local:
    """What a loop's variable stands for."""
    reads = tuple(
        dict.fromkeys(reference.path for reference in _quiet(walk, node)),
    )
    while isinstance(node, nodes.Filter) and node.node is not None and _keeps_items(node):
        node = node.node
    path = path_of(node, walk.locals)
    return _Local(None if path is None else (*path, "*"), reads)


def _keeps_items(node: nodes.Filter) -> bool:
    return node.name in _KEEPS_ITEMS or (node.name in _DEFAULT_FILTERS and _defaults_to_nothing(node))


def _quiet(walk: _Walk, node: nodes.Node) -> Iterator[Reference]:
    """What a node reads, without recording it again."""
    inner = _Walk(locals=dict(walk.locals))
    _visit(inner, node, strict=True, known=frozenset())
    yield from inner.references


def _is_local(walk: _Walk, node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name in walk.locals and walk.locals[node.name].path is None


def _is_filter(name: str) -> bool:
    from airflow_agentic.template.expressions import ENVIRONMENT

    return name in ENVIRONMENT.filters
