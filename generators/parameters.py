"""What an author may set: declared in a section's `Parameters`, checked before anything runs."""

import math
from pathlib import Path
from typing import NamedTuple, TypeAlias

from generators.code import Code, Field
from generators.errors import AuthorError, nearest

Value: TypeAlias = "int | float | bool | str | tuple[int | float | bool | str, ...]"
File: TypeAlias = str
"""A parameter of this type names a file below content/, and its bytes are part of the key."""

TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "str": (str,),
    "File": (str,),
}
WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text in quotes",
    "File": "a file name",
}


class Range(NamedTuple):
    """Both ends belong to it: `Annotated[float, Range(0, 1)]` takes 0 and 1."""

    low: float
    high: float


class TrainedBy:
    """The network that a parameter names, one of the section's, is of this trainer and recipe.

    `Annotated[str, TrainedBy("digits.flow", classes=True)]` takes no network of digits.ddpm, whose
    answers would be read as what they are not. Beside another it says that either will do.
    """

    def __init__(self, trainer: str, **recipe: Value) -> None:
        self.trainer, self.recipe = trainer, recipe


def checked(
    given: dict[str, object], fields: list[Field], where: str, content: Path
) -> dict[str, Value]:
    """Return the value of every field, given or default.

    Raises: AuthorError, one line, for an unknown or missing name, a wrong type, a value out of
    range or a file that is not there.
    """
    names = [field.name for field in fields]
    for name in given:
        if name not in names:
            raise AuthorError(f"{where}: unknown parameter {name!r}{nearest(name, names)}")
    values: dict[str, Value] = {}
    for field in fields:
        if field.required and field.name not in given:
            raise AuthorError(f"{where}: parameter {field.name!r} is missing")
        value = given.get(field.name, field.default)
        values[field.name] = fitting(value, field, f"{where}: {field.name}", content)
    return values


def fitting(value: object, field: Field, where: str, content: Path) -> Value:
    """Return `value` as the type that `field` declares."""
    if field.kind.startswith("tuple["):
        kind = field.kind.removeprefix("tuple[").partition(",")[0]
        if not isinstance(value, (list, tuple)):
            raise AuthorError(f"{where} = {value!r}, expected a list, each {WORDS[kind]}")
        if not value and (field.default or field.required):
            raise AuthorError(f"{where} is empty, expected a list of one or more")
        return tuple(single(item, kind, field.range, where, content) for item in value)
    return single(value, field.kind, field.range, where, content)


def single(
    value: object, kind: str, limits: list[float] | None, where: str, content: Path
) -> int | float | bool | str:
    is_bool_by_mistake = isinstance(value, bool) and kind != "bool"
    if not isinstance(value, TYPES[kind]) or is_bool_by_mistake:
        raise AuthorError(f"{where} = {value!r}, expected {WORDS[kind]}")
    assert isinstance(value, (int, float, bool, str))
    if isinstance(value, float) and not math.isfinite(value):
        raise AuthorError(f"{where} = {value!r}, expected a finite number")
    if limits and isinstance(value, (int, float)) and not limits[0] <= value <= limits[1]:
        raise AuthorError(f"{where} = {value!r}, expected {limits[0]} to {limits[1]}")
    if kind == "File" and isinstance(value, str):
        if Path(value).is_absolute() or ".." in Path(value).parts:
            raise AuthorError(f"{where} = {value!r}, expected a file below content/")
        if not (content / value).is_file():
            raise AuthorError(f"{where}: no file content/{value}{nearest(value, files(content))}")
    if kind == "float":
        try:
            return float(value)
        except OverflowError:
            raise AuthorError(f"{where}: expected a number below 1.8e308") from None
    return value


def whole_numbers(value: object) -> list[int]:
    """Return the integers of a parameter that is a list, else none."""
    return [each for each in value if type(each) is int] if isinstance(value, tuple) else []


def files(content: Path) -> list[str]:
    """Return the files below content/ that a parameter may name."""
    found = [path for path in content.rglob("*") if path.is_file()]
    words = (".md", ".toml")
    return [path.relative_to(content).as_posix() for path in found if path.suffix not in words]


def fields_of(code: Code, module: str, name: str) -> list[Field]:
    """Return the fields of a dataclass that a module defines or imports."""
    for origin, found in code.target(f"generators.{module}", name):
        summary = code.summary(origin)
        if summary and found in summary.fields:
            return summary.fields[found]
    raise AuthorError(f"generators/{module.replace('.', '/')}.py: found no {name}, expected one")


def refuse_module(name: str, code: Code, where: str) -> None:
    """Raise an AuthorError for the name of a module that is not there."""
    if code.summary(f"generators.{name}") is None:
        folder = code.root / "generators"
        there = [
            ".".join(path.relative_to(folder).with_suffix("").parts)
            for path in folder.rglob("*.py")
        ]
        raise AuthorError(
            f"{where} = {name!r}, no such module in generators/{nearest(name, there)}"
        )
