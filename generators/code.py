"""The project's code as a graph: which definitions a function reaches, through any imports."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

from generators.errors import AuthorError
from generators.files import digest, write

Node = tuple[str, str]
"""(module, name); the name "" stands for the loose statements, "*" for all of the module."""

FORMAT = "6"
PackedDefinition: TypeAlias = tuple[str, list[str], list[str] | None]
PackedTrained: TypeAlias = tuple[str, dict[str, object]]
PackedField: TypeAlias = tuple[str, str, list[float] | None, bool, object, list[PackedTrained]]
Packed: TypeAlias = tuple[
    dict[str, PackedDefinition],
    dict[str, list[str]],
    PackedDefinition,
    dict[str, list[PackedField]],
]


class Definition(NamedTuple):
    """One name of a module: what it is, what it refers to ("training.fit"), what it reads.

    `reads` are the attributes that a function takes from its second argument, or None where the
    argument is handed on whole. The digest of nothing at all is "".
    """

    digest: str
    refers: list[str]
    reads: list[str] | None = None


class Field(NamedTuple):
    """One field of a dataclass: its type as written, its range, its default as a literal.

    `trained` are the kinds of network that it may name: a trainer, and what the recipe says.
    """

    name: str
    kind: str
    range: list[float] | None
    required: bool
    default: object
    trained: Sequence[PackedTrained] = ()


class Summary(NamedTuple):
    """A module: its definitions, its imports (local name to each "package.module" or
    "package.module:name" that it stands for somewhere), the statements that belong to no name,
    the fields of its dataclasses."""

    definitions: dict[str, Definition]
    imports: dict[str, list[str]]
    loose: Definition
    fields: dict[str, list[Field]]


def unpacked(entry: list[object]) -> Summary:
    """Return a summary from the lists that JSON makes of its named tuples."""
    definitions, imports, loose, fields = cast(Packed, entry)
    return Summary(
        {name: Definition(*value) for name, value in definitions.items()},
        imports,
        Definition(*loose),
        {name: [Field(*field) for field in value] for name, value in fields.items()},
    )


class Code:
    """The modules under `root`, read once and only as far as somebody asks.

    What a module defines is remembered in the file `memory` under the digest of its source, so
    that nothing is parsed twice; a memory that is missing or damaged costs time, nothing else.
    """

    def __init__(self, root: Path, memory: Path | None = None) -> None:
        self.root = root
        self.memory = memory
        self.summaries: dict[str, Summary | None] = {}
        self.remembered = remembered(memory)
        self.used: dict[str, list[object]] = {}
        self.visited: dict[Node, tuple[str, list[Node]]] = {}
        self.reached: dict[Node, dict[str, str]] = {}

    def path(self, module: str) -> Path | None:
        """Return the file of a module of the project, or None."""
        base = self.root.joinpath(*module.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
        return None

    def summary(self, module: str) -> Summary | None:
        """Return what a module defines, or None when it is none of the project's."""
        if module not in self.summaries:
            path = self.path(module)
            self.summaries[module] = self.read(path, module) if path else None
        return self.summaries[module]

    def read(self, path: Path, module: str) -> Summary:
        source = path.read_bytes()
        key = digest(b"\n".join([FORMAT.encode(), module.encode(), source]))
        if key not in self.remembered:
            # Parsing needs ast, some 10 ms of import that an unchanged project does without.
            from generators.definitions import summarise

            try:
                summary = summarise(source.decode(), module, path.name == "__init__.py")
            except SyntaxError as error:
                raise AuthorError(f"{path}:{error.lineno or 1}: {error.msg}") from None
            except UnicodeDecodeError as error:
                line = source[: error.start].count(b"\n") + 1
                raise AuthorError(f"{path}:{line}: not UTF-8") from None
            self.remembered[key] = list(summary)
        self.used[key] = self.remembered[key]
        return unpacked(self.remembered[key])

    def save(self) -> None:
        """Remember what was parsed, and forget sources that are gone."""
        if self.memory and self.used.keys() != remembered(self.memory).keys():
            with suppress(OSError):
                write(self.memory, json.dumps(self.used).encode())

    def definition(self, module: str, name: str) -> Definition:
        """Return one definition.

        Raises: AuthorError when the project has no such module or name.
        """
        summary = self.summary(module)
        if summary is None or name not in summary.definitions:
            raise AuthorError(f"{module.replace('.', '/')}.py: found no {name}, expected one")
        return summary.definitions[name]

    def reach(self, module: str, name: str) -> dict[str, str]:
        """Return "module:name" and digest of all that `module.name` reaches, itself included."""
        if (module, name) not in self.reached:
            self.definition(module, name)
            waiting, seen = [(module, name)], dict[Node, str]()
            while waiting:
                node = waiting.pop()
                if node not in seen:
                    if node not in self.visited:
                        self.visited[node] = self.visit(*node)
                    seen[node], follow = self.visited[node]
                    waiting += follow
            found = {f"{node[0]}:{node[1]}": value for node, value in sorted(seen.items()) if value}
            self.reached[module, name] = found
        return self.reached[module, name]

    def visit(self, module: str, name: str) -> tuple[str, list[Node]]:
        """Return a node's digest and the nodes that it needs."""
        summary = self.summary(module)
        assert summary is not None, module
        if name == "*":
            follow = [(module, each) for each in ("", *summary.definitions)]
            for targets in summary.imports.values():
                for target in targets:
                    follow += self.resolve(*target.split(":"))
            return "", follow
        entry = summary.definitions[name] if name else summary.loose
        follow = [node for dotted in entry.refers for node in self.target(module, dotted)]
        parts = module.split(".")
        packages = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        follow += [(package, "") for package in packages if name and self.summary(package)]
        for target in summary.imports.get("*", []):
            follow += self.resolve(target.partition(":")[0])
        return entry.digest, follow

    def target(self, module: str, dotted: str) -> list[Node]:
        """Return the nodes that a dotted name, read in `module`, stands for."""
        summary = self.summary(module)
        assert summary is not None, module
        root, _, rest = dotted.partition(".")
        found = [(module, root)] if root in summary.definitions else []
        for target in summary.imports.get(root, []):
            origin, _, name = target.partition(":")
            found += self.resolve(origin, ".".join(filter(None, (name, rest))))
        return found

    def resolve(self, module: str, dotted: str = "") -> list[Node]:
        """Follow a dotted name from a module to a definition, or to the whole of a module."""
        root, _, rest = dotted.partition(".")
        summary = self.summary(module)
        if summary is None:
            # A package without a file of its own may still hold modules of the project.
            is_ours = root and self.root.joinpath(*module.split(".")).is_dir()
            return self.resolve(f"{module}.{root}", rest) if is_ours else []
        if not root or root == "*":
            return [(module, "*")]
        if root in summary.definitions:
            return [(module, root)]
        if self.path(f"{module}.{root}"):
            return self.resolve(f"{module}.{root}", rest)
        return self.target(module, dotted) if root in summary.imports else [(module, "*")]


def remembered(memory: Path | None) -> dict[str, list[object]]:
    """Return what a memory file holds, which is nothing when it is missing or damaged."""
    try:
        content = json.loads(memory.read_bytes()) if memory else {}
        for entry in content.values():
            unpacked(entry)
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return dict(content)
