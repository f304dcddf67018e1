"""The mutants of a module: each is its source with one small change that a test should notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
#: Division is not one of them: it joins paths here.
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
NAMES = {"max": "min", "min": "max", "any": "all", "all": "any"}
METHODS = {"startswith": "endswith", "endswith": "startswith", "partition": "rpartition", "rpartition": "partition"}
#: What has a place in the source.
Part = ast.expr | ast.stmt
#: What a text is followed by in a mutant.
MARK = "XX"


#: The function or class that a mutant is in, and its line before and after.
Place = tuple[str, str, str]


@dataclass(frozen=True)
class Mutant:
    """A change at ``line`` of a module, in the function or class ``where``: the lines ``before`` and ``after`` it.

    ``first`` and ``last`` are the lines of the statement. ``imported``: it runs when the module is imported, whatever
    test is.
    """

    where: str
    line: int
    before: str
    after: str
    first: int
    last: int
    imported: bool
    source: str

    @property
    def place(self) -> Place:
        """By this the mutant is known when its line has moved."""
        return self.where, self.before, self.after


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    return sorted(Mutation(source).found.values(), key=lambda mutant: mutant.line)


class Mutation(ast.NodeVisitor):
    """Goes through a module and makes the mutants that are ``found``, by their source."""

    def __init__(self, source: str) -> None:
        # The places of nodes are counted in bytes.
        self._lines = source.encode().splitlines(keepends=True)
        self.found: dict[str, Mutant] = {}
        self._where: list[str] = []
        self._functions: list[ast.AST] = []
        self._statement: ast.stmt | None = None
        self.visit(ast.parse(source))

    def visit(self, node: ast.AST) -> None:
        """Mutate a node, and then what is in it."""
        outer = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node
        for part, text in changes(node):
            self._add(part, text)
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            self._where.append(node.name)
            self._functions += [node] if isinstance(node, ast.FunctionDef) else []
        for each in inner(node):
            self.visit(each)
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            self._where.pop()
            self._functions = [each for each in self._functions if each is not node]
        self._statement = outer

    def _add(self, part: Part, text: str) -> None:
        """Add the mutant that has a text in place of a part."""
        statement = self._statement
        assert statement
        assert part.end_lineno
        assert part.end_col_offset is not None
        head = b"".join(self._lines[: part.lineno - 1]) + self._lines[part.lineno - 1][: part.col_offset]
        tail = self._lines[part.end_lineno - 1][part.end_col_offset :] + b"".join(self._lines[part.end_lineno :])
        old = b"".join(self._lines)[len(head) :].removesuffix(tail)
        source = (head + text.encode() + tail).decode()
        start, end = head.rpartition(b"\n")[2], tail.partition(b"\n")[0]
        body = getattr(statement, "body", None)
        made = Mutant(
            ".".join(self._where) or "-",
            part.lineno,
            one_line(start + old + end),
            one_line(start + text.encode() + end),
            statement.lineno,
            max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or part.end_lineno,
            # What a parameter is by itself is computed when its function is made.
            not [each for each in self._functions if each is not statement],
            source,
        )
        self.found.setdefault(source, made)


def one_line(text: bytes) -> str:
    """A piece of source, each white space one blank."""
    return " ".join(text.decode().split())


def changes(node: ast.AST) -> Iterator[tuple[Part, str]]:
    """What may stand in place of a node, or of a part of it."""
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            yield node.test, inverse(node.test)
        case ast.comprehension():
            yield from ((each, inverse(each)) for each in node.ifs)
        case ast.ExceptHandler(type=ast.Tuple(elts=kinds) as caught):
            yield from ((caught, unparsed(ast.Tuple([each for each in kinds if each is not kind]))) for kind in kinds)
        case ast.ExceptHandler(type=ast.expr() as caught):
            yield caught, "()"
        case ast.expr():
            yield from ((node, text) for text in expressions(node))
        case ast.stmt():
            yield from ((node, text) for text in statements(node))
    if isinstance(node, ast.IfExp):
        yield node, unparsed(ast.IfExp(node.test, node.orelse, node.body))


def inner(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that are mutated in their turn."""
    left: list[ast.AST | None] = []
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.Expr(value=ast.Constant()):
            return
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return
        case ast.FunctionDef():
            left = [*node.decorator_list, node.returns]
        case ast.ClassDef():
            left = [*node.decorator_list, *node.keywords]
        case ast.arg() | ast.AnnAssign():
            left = [node.annotation]
        case ast.JoinedStr():
            left = [each for each in node.values if isinstance(each, ast.Constant)]
        case ast.FormattedValue():
            left = [node.format_spec]
        case ast.ExceptHandler():
            left = [node.type]
    yield from (each for each in ast.iter_child_nodes(node) if each not in left)


def expressions(node: ast.expr) -> Iterator[str]:
    """What may stand for an expression."""
    match node:
        case ast.Compare(ops=[operator]):
            yield unparsed(ast.Compare(node.left, [COMPARISONS[type(operator)]()], node.comparators))
        case ast.BoolOp(op=operator, values=values):
            yield unparsed(ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values))
            for each in values:
                rest = [value for value in values if value is not each]
                yield unparsed(ast.BoolOp(operator, rest) if len(rest) > 1 else rest[0])
        case ast.UnaryOp(op=ast.Not()):
            yield unparsed(node.operand)
        case ast.BinOp(op=operation) if type(operation) in OPERATORS:
            yield unparsed(ast.BinOp(node.left, OPERATORS[type(operation)](), node.right))
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield unparsed(ast.Call(ast.Name(NAMES[name]), node.args, node.keywords))
        case ast.Call(func=ast.Name(id="sorted"), args=[ordered]):
            yield f"list({ast.unparse(ordered)})"
        case ast.Call(func=ast.Attribute(value=whole, attr=name)) if name in METHODS:
            yield unparsed(ast.Call(ast.Attribute(whole, METHODS[name]), node.args, node.keywords))
        case ast.Constant() | ast.JoinedStr():
            yield from constants(node)


def constants(node: ast.Constant | ast.JoinedStr) -> Iterator[str]:
    """What may stand for a constant. A text that has a blank in it is for people, and stays as it is."""
    match node:
        case ast.JoinedStr(values=values):
            if not any(isinstance(each, ast.Constant) and " " in str(each.value) for each in values):
                yield ast.unparse(ast.JoinedStr([*values, ast.Constant(MARK)]))
        case ast.Constant(value=bool(value)):
            yield repr(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield repr(value + 1)
        case ast.Constant(value=str(value)):
            if " " not in value:
                yield repr(value + MARK)
        case ast.Constant(value=bytes(value)):
            yield repr(value + MARK.encode())


def statements(node: ast.stmt) -> Iterator[str]:
    """What may stand for a statement: mostly nothing."""
    match node:
        case ast.Return(value=ast.Constant()) | ast.Expr(value=ast.Constant()):
            pass
        case ast.Return(value=ast.expr()):
            yield "return None"
        case ast.Continue():
            yield "break"
        case ast.Break():
            yield "continue"
        case ast.Expr(value=ast.Yield()):
            yield "yield"
        case ast.Expr(value=ast.YieldFrom()):
            yield "yield from ()"
        case ast.Expr() | ast.Raise() | ast.Delete() | ast.Return():
            yield "pass"
        case ast.AugAssign():
            yield "pass"
            yield f"{ast.unparse(node.target)} = {ast.unparse(node.value)}"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "pass"


def inverse(condition: ast.expr) -> str:
    """A condition that holds when the other does not."""
    match condition:
        case ast.UnaryOp(op=ast.Not()):
            return unparsed(condition.operand)
        case ast.Compare(ops=[ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot() | ast.In() | ast.NotIn()]):
            return next(expressions(condition))
        case _:
            return unparsed(ast.UnaryOp(ast.Not(), condition))


def unparsed(node: ast.expr) -> str:
    """The source of an expression, whatever it stands in."""
    return f"({ast.unparse(node)})"
