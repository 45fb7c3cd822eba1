"""
Python source files: their docstrings, as the documentation that they are.

The source is parsed, never run. Private names are left out, as documentation leaves them out.
"""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

from airflow_agentic.agents.library.reading import rst
from airflow_agentic.agents.library.reading.document import UnreadableError, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.agents.library.reading.document import Document

Described = tuple[str, int, str]


def read(text: str, *, module: str) -> Document:
    """
    The documentation in a Python source.

    :param module: the module's dotted name, which becomes the title.
    :raises UnreadableError: it is no Python, or has no docstrings.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(f"it is no Python source ({type(error).__name__})") from None
    described = list(_described(tree, ()))
    if not described:
        raise UnreadableError("it has no docstrings")
    writer = Writer()
    writer.heading(1, f"`{module}`")
    for name, level, docstring in described:
        if name:
            writer.heading(level, f"`{name}`")
        rst.write(docstring, writer, level=level + 2)
    return writer.document(title=module)


def _described(node: ast.AST, path: tuple[str, ...]) -> Iterator[Described]:
    """Every public name below ``node`` that has a docstring, in the source's order."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = ast.get_docstring(node)
        if docstring:
            yield ".".join(path), len(path) + 1, docstring
    if isinstance(node, ast.Module | ast.ClassDef):
        before: ast.AST | None = None
        for child in node.body:
            yield from _attribute(before, child, path)
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name[0] != "_":
                yield from _described(child, (*path, child.name))
            before = child


def _attribute(before: ast.AST | None, node: ast.AST, path: tuple[str, ...]) -> Iterator[Described]:
    """The text that stands below an assignment and describes it."""
    match before, node:
        case (
            (ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name))),
            ast.Expr(value=ast.Constant(value=str(text))),
        ) if name[0] != "_":
            yield ".".join((*path, name)), len(path) + 2, inspect.cleandoc(text)
