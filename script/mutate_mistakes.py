"""The mistakes that script/mutate makes: each changes one expression or leaves one statement out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
COUNTED: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv}
CONDITIONS = ("where", "and_", "or_", "values")
"""Calls of SQLAlchemy's whose arguments are left out one at a time."""
WORDS = ("log", "say", "tell", "warning", "info")
"""Calls that only tell a person something: nobody tests each of them."""
PASSED_OVER = ("annotation", "returns", "decorator_list", "bases", "msg")
CHECKS = ("strict",)
"""Arguments that, as ``assert`` does, say what holds anyway: ``zip(..., strict=True)``. No behaviour differs without them."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A stretch of a file's text, and what stands in its place."""

    path: Path
    line: int
    last_line: int
    start: int
    end: int
    text: str
    told: str

    def made(self) -> str:
        """The whole file with the mistake in it."""
        source = self.path.read_bytes()
        return (source[: self.start] + self.text.encode() + source[self.end :]).decode()


def mistakes(path: Path) -> Iterator[Mistake]:
    """All that may be made in a file, from its beginning to its end."""
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, new in _changed(ast.parse(source)):
        end = (node.end_lineno or node.lineno), (node.end_col_offset or 0)
        start_at, end_at = starts[node.lineno - 1] + node.col_offset, starts[end[0] - 1] + end[1]
        text = ast.unparse(new)
        if isinstance(node, ast.expr):
            text = f"({text})" if not isinstance(new, ast.Constant | ast.Call | ast.Tuple) else text
        old = " ".join(source[start_at:end_at].decode().split())
        told = f"`{_short(old)}` becomes `{_short(' '.join(text.split()))}`"
        yield Mistake(path, node.lineno, end[0], start_at, end_at, text, told)


def _short(text: str) -> str:
    text = text.replace("|", "\\|").replace("`", "'")
    return text if len(text) <= 70 else f"{text[:67]}..."


def _changed(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, ast.AST]]:
    """Nodes in the file's order, each with what it becomes; types, texts and what only talks are passed over."""
    for name, value in ast.iter_fields(tree):
        if name in PASSED_OVER or (isinstance(tree, ast.keyword) and tree.arg in CHECKS):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not _only_talks(node):
                if isinstance(node, ast.expr):
                    yield from ((node, new) for new in _expressions(node))
                elif isinstance(node, ast.stmt):
                    yield from ((node, new) for new in _statements(node))
                yield from _changed(node)


def _only_talks(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    called = node.value if isinstance(node, ast.Expr) else None
    called = called.value if isinstance(called, ast.Await) else called
    if isinstance(called, ast.Constant):
        return True
    name = called.func if isinstance(called, ast.Call) else None
    return isinstance(name, ast.Name | ast.Attribute) and getattr(name, "id", getattr(name, "attr", "")) in WORDS


def _expressions(node: ast.expr) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARED:
        yield ast.Compare(node.left, [COMPARED[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for number in range(len(node.values)):
            rest = node.values[:number] + node.values[number + 1 :]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in COUNTED:
        yield ast.BinOp(node.left, COUNTED[type(node.op)](), node.right)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        # One more is a mistake in a count or an index; in a bound of 64 or a pause of 500 it is another choice.
        yield ast.Constant(node.value + 1 if node.value < 10 else node.value * 10)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in CONDITIONS and len(node.args) > 1:
            for number in range(len(node.args)):
                yield ast.Call(node.func, node.args[:number] + node.args[number + 1 :], node.keywords)
        if name == "values" and len(node.keywords) > 1:
            for number in range(len(node.keywords)):
                yield ast.Call(node.func, node.args, node.keywords[:number] + node.keywords[number + 1 :])


def _statements(node: ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.Expr | ast.AugAssign):
        yield ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Continue | ast.Break):
        yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
