"""What one module defines: a digest and the references of every definition in it.

A digest covers what the interpreter would do and nothing else: not docstrings, comments,
formatting, nor the annotations of functions. It is computed from the syntax tree by name and
value, skipping empty fields, because `ast.dump` differs between versions of Python.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator

from generators.code import Definition, Field, Summary
from generators.errors import AuthorError
from generators.files import digest

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BLOCKS = (ast.For, ast.While, ast.With, ast.If, ast.Try, ast.TryStar, ast.Match)
"""What may fill a table of the module beside the names that it binds."""
PARAMETERS = ("Parameters", "Recipe")
KINDS = r"(tuple\[)?(int|float|bool|str|File)(?(1), \.\.\.\])"
IGNORED = {"ctx", "type_comment", "type_ignores", "kind", "lineno", "returns"}


def summarise(source: str, module: str, is_package: bool = False) -> Summary:
    """Summarise a module from its source.

    Raises: SyntaxError as the compiler would.
    """
    tree = ast.parse(source)
    package = module if is_package else module.rpartition(".")[0]
    statements: dict[str, list[ast.stmt]] = {}
    loose: list[ast.stmt] = []
    for statement in tree.body:
        if is_text(statement) or is_for_checkers(statement):
            continue
        names = list(bound([statement]))
        is_import = isinstance(statement, (ast.Import, ast.ImportFrom))
        if isinstance(statement, BLOCKS) or fills(statement) or not (names or is_import):
            loose.append(statement)
        for name in names:
            statements.setdefault(name, []).append(statement)
    classes = {s.name: s for s in tree.body if isinstance(s, ast.ClassDef)}
    return Summary(
        {name: define(body) for name, body in statements.items()},
        gathered(imported(tree, package)),
        define(loose),
        {name: fields(node, module) for name, node in classes.items() if name in PARAMETERS},
    )


def define(statements: list[ast.stmt]) -> Definition:
    if not statements:
        return Definition("", [])
    text = json.dumps([normal(statement) for statement in statements], separators=(",", ":"))
    refers = sorted(set().union(*(references(statement, frozenset()) for statement in statements)))
    first = statements[0]
    reads = parameters_read(first) if isinstance(first, ast.FunctionDef) else None
    return Definition(digest(text.encode()), refers, reads)


def normal(node: object) -> object:
    """Return a syntax tree as nested lists that are equal on every version of Python."""
    if isinstance(node, list):
        return [normal(item) for item in node if not is_text(item)]
    if isinstance(node, ast.JoinedStr):
        return ["JoinedStr", normal(merged(node.values))]
    if isinstance(node, ast.Constant):
        return ["Constant", type(node.value).__name__, spelled(node.value)]
    if not isinstance(node, ast.AST):
        return node if node is None or isinstance(node, (int, str)) else repr(node)
    result: list[object] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        annotation = name == "annotation" and isinstance(node, ast.arg)
        if value is None or value == [] or name in IGNORED or annotation:
            continue
        result.append([name, normal(value)])
    return result


def spelled(value: object) -> str:
    """Spell a constant; `repr` of a string depends on the interpreter's Unicode tables."""
    return json.dumps(value) if isinstance(value, str) else repr(value)


def merged(values: list[ast.expr]) -> list[ast.expr]:
    """Join neighbouring literal pieces of an f-string, which versions cut differently."""
    result: list[ast.expr] = []
    for value in values:
        last = result[-1] if result else None
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            result[-1] = ast.Constant(str(last.value) + str(value.value))
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            result.append(value)
    return result


def fills(statement: ast.stmt) -> bool:
    """Whether a statement assigns to a part of something, beside the names that it may bind."""
    is_assignment = isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign))
    parts = (ast.Subscript, ast.Attribute)
    return is_assignment and any(
        isinstance(each, parts) and isinstance(each.ctx, ast.Store) for each in ast.walk(statement)
    )


def is_text(node: object) -> bool:
    """Whether a statement is a bare constant: a docstring, or nothing at all."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_for_checkers(node: ast.stmt) -> bool:
    """Whether a statement never runs on import: `if TYPE_CHECKING` or `if __name__ == …`."""
    if not isinstance(node, ast.If):
        return False
    names = {part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)}
    return bool(names & {"TYPE_CHECKING", "__name__"})


def bound(statements: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that statements bind, imports and nested scopes left out."""
    for node in statements:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)) and node.name:
            yield node.name
            yield from bound(ast.iter_child_nodes(node))
        elif not isinstance(node, SCOPES):
            yield from bound(ast.iter_child_nodes(node))


def references(node: ast.AST, local: frozenset[str]) -> set[str]:
    """Return the dotted names that a node reads from outside, annotations left out."""
    if isinstance(node, (ast.Attribute, ast.Name)):
        root, dotted = spelled_out(node)
        if isinstance(root, ast.Name):
            is_read = isinstance(root.ctx, ast.Load) and root.id not in local
            return {f"{root.id}{dotted}"} if is_read else set()
    inner = local | own_names(node) if isinstance(node, FUNCTIONS) else local
    found: set[str] = set()
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        # Decorators and the defaults of parameters are evaluated outside the function.
        scope = inner if name == "body" else local
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                found |= references(child, scope)
    return found


def spelled_out(node: ast.expr) -> tuple[ast.expr, str]:
    """Split `a.b.c` into the node of `a` and ".b.c"."""
    dotted = ""
    while isinstance(node, ast.Attribute):
        dotted = f".{node.attr}{dotted}"
        node = node.value
    return node, dotted


def own_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
    """Return the names local to a function: its parameters and what its body binds."""
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    names = {argument.arg for argument in arguments if argument}
    if not isinstance(function, ast.Lambda):
        names |= set(bound(function.body))
        for node in ast.walk(function):
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                names -= set(node.names)
    return frozenset(names)


def parameters_read(function: ast.FunctionDef) -> list[str] | None:
    """Return the attributes read from the second argument, or None when it is handed on whole."""
    if len(function.args.args) < 2:
        return []
    name = function.args.args[1].arg
    uses = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name]
    attributes = [
        n
        for n in ast.walk(function)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == name
    ]
    if len(uses) != len(attributes):
        return None
    return sorted({attribute.attr for attribute in attributes})


def imported(tree: ast.Module, package: str) -> Iterator[tuple[str, str]]:
    """Yield (local name, target) of every import in a module, at whatever depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            origin = ".".join([*above, node.module or ""]) if node.level else node.module or ""
            for alias in node.names:
                yield alias.asname or alias.name, f"{origin.strip('.')}:{alias.name}"


def gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, target in pairs:
        if target not in found.setdefault(name, []):
            found[name].append(target)
    return found


def fields(node: ast.ClassDef, module: str) -> list[Field]:
    """Return the fields of a dataclass from its source alone, so that nothing is imported.

    Raises: AuthorError naming a field that is not spelled out.
    """
    found = []
    where = f"{module.replace('.', '/')}.py:{node.lineno}"
    if not any("dataclass" in ast.unparse(each) for each in node.decorator_list):
        raise AuthorError(f"{where}: {node.name} is no dataclass, expected @dataclass(frozen=True)")
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            try:
                found.append(declared(statement.target.id, statement))
            except ValueError as error:
                where = f"{module.replace('.', '/')}.py:{statement.lineno}"
                raise AuthorError(f"{where}: {node.name}.{statement.target.id}: {error}") from None
    return found


def declared(name: str, statement: ast.AnnAssign) -> Field:
    """Return a field from its declaration.

    Raises: ValueError where type, range or default is none that could be read here.
    """
    kind, limits = statement.annotation, None
    trained: list[tuple[str, dict[str, object]]] = []
    if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "Annotated":
        if not isinstance(kind.slice, ast.Tuple):
            raise ValueError("Annotated without a Range, expected Annotated[int, Range(0, 1)]")
        kind, *extra = kind.slice.elts
        for call in extra:
            match call:
                case ast.Call(func=ast.Name(id="Range") | ast.Attribute(attr="Range")):
                    limits = limits_of(call)
                case ast.Call(func=ast.Name(id="TrainedBy") | ast.Attribute(attr="TrainedBy")):
                    trained.append(trained_by(call))
                case _:
                    raise ValueError(f"{ast.unparse(call)}, expected Range(low, high) in its place")
    spelled = ast.unparse(kind)
    if not re.fullmatch(KINDS, spelled):
        raise ValueError(f"a type of {spelled}, expected int, float, bool, str, File or a tuple")
    default = literal(statement.value) if statement.value else None
    return Field(name, spelled, limits, statement.value is None, default, trained)


def limits_of(call: ast.Call) -> list[float]:
    """Return both ends of a Range, given in order or by name."""
    named = {each.arg: literal(each.value) for each in call.keywords}
    given = dict(zip(("low", "high"), map(literal, call.args), strict=False)) | named
    found = [given.get("low"), given.get("high")]
    numbers = [each for each in found if isinstance(each, (int, float))]
    if len(numbers) != 2 or len(given) != 2 or numbers[0] > numbers[1]:
        raise ValueError(f"{ast.unparse(call)}, expected two numbers, the lower first")
    return numbers


def trained_by(call: ast.Call) -> tuple[str, dict[str, object]]:
    """Return a trainer and the entries of a recipe."""
    given = [literal(each) for each in call.args]
    if len(given) != 1 or not isinstance(given[0], str):
        raise ValueError(f"{ast.unparse(call)}, expected one trainer and entries of its recipe")
    return given[0], {str(each.arg): literal(each.value) for each in call.keywords}


def literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{ast.unparse(node)}, expected a literal") from None
