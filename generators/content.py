"""What the author writes under content/: site.toml, and one Markdown file per section."""

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from generators.code import Code, Field
from generators.datasets import DATASETS, MNIST
from generators.errors import AuthorError, nearest
from generators.expectations import refuse_later, refuse_others
from generators.models import EMBEDDED, Model, find_model
from generators.parameters import (
    Value,
    checked,
    fields_of,
    fitting,
    refuse_module,
)
from generators.tables import parsed, refuse_unknown, split, tables, text_of, typed

PART = re.compile(r"[a-z0-9-]+")
NUMBER = re.compile(r"\d+(\.\d+)*")
ADDRESS = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?", re.IGNORECASE)
SITE_KEYS = {
    "title", "author", "description", "address", "seed", "data", "parts", "models", "networks",
}  # fmt: skip
PART_KEYS = {"title", "text", "model", "judge"}
KEYS = {
    "title", "part", "number", "picture", "generator", "data", "networks", "seed", "parameters",
    "draft",
}  # fmt: skip
NAME = re.compile(r"[a-z][0-9]*-([a-z0-9-]+)\.md")


class Network(NamedTuple):
    """A network that sections name: `train(run, recipe)` in the module `trainer` makes it.

    `data` names the data set that it gets in place of the one it asks for, or is empty. A section
    of other data has its networks trained on these, under the same names.
    """

    name: str
    trainer: str
    recipe: dict[str, Value]
    seed: int
    data: str = ""

    @property
    def label(self) -> str:
        """What it is called where networks of several data sets are listed."""
        return f"{self.name} on {self.data}" if self.data else self.name


class Part(NamedTuple):
    """One page of the write-up.

    `suited` are parameters that suit its model: of every section that has one of that name and
    does not set it itself.
    """

    name: str
    title: str
    text: str
    model: Model | None
    suited: dict[str, object]


class Section(NamedTuple):
    """One experiment: its words, and what `experiment` and `figures` of `generator` get.

    `data` names the data set that it gets in place of the one it asks for, `picture` the figure
    that stands for it on the first page; both may be empty.
    """

    name: str
    path: Path
    title: str
    part: str
    number: str
    generator: str
    parameters: dict[str, Value]
    files: list[str]
    networks: list[Network]
    seed: int
    text: str
    model: Model | None
    data: str = ""
    picture: str = ""

    @property
    def label(self) -> str:
        return f"{self.part.upper()}{self.number}"

    @property
    def order(self) -> tuple[str, list[int]]:
        return self.part, [int(digits) for digits in re.findall(r"\d+", self.number)]


class Site(NamedTuple):
    """All of content/."""

    title: str
    author: str
    description: str
    address: str
    datasets: dict[str, str]
    parts: list[Part]
    sections: list[Section]


def read(root: Path, code: Code, draft: bool = False, model: str | None = None) -> Site:
    """Read content/ and check all of it; with `draft`, `[draft]` tables replace parameters.

    `model` takes the place of the model of every part that has one.

    Raises: AuthorError naming the file, what was found and what was expected.
    """
    content = root / "content"
    path = content / "site.toml"
    table = parsed(path, text_of(path))
    refuse_unknown(table, SITE_KEYS, path)
    seed = typed(table, "seed", int, path)
    suited = tables(table, "models", path)
    for name in suited:
        known = EMBEDDED[0]
        is_slip = name != known and nearest(name, [known]).endswith("?")
        if is_slip and "," not in name and not (root / name).is_dir():
            raise AuthorError(f"content/site.toml: no model {name!r}{nearest(name, [known])}")
    parts = {
        name: part_of(name, entry, root, model, suited)
        for name, entry in tables(table, "parts", path).items()
    }
    datasets = typed(table, "data", dict, path, {})
    refuse_unknown(datasets, set(DATASETS), path)
    for name in datasets:
        typed(datasets, name, str, path, "")
    for name in parts:
        if not PART.fullmatch(name):
            raise AuthorError(f"content/site.toml: part {name!r}, expected a name such as 'b'")
    networks = {
        name: network(name, entry, code, content, draft, seed)
        for name, entry in tables(table, "networks", path).items()
    }
    # An editor's own files are hidden: Emacs marks an unsaved one with a link to nowhere.
    files = [file for file in sorted(content.glob("*.md")) if not file.name.startswith(".")]
    sections = [section(file, code, networks, parts, draft, seed) for file in files]
    refuse_twins(sections)
    declared = {each for one in sections if one.model for each in one.parameters}
    for given in suited.values():
        # A section that is not there, or not there any more, may be the one that takes it.
        taken = declared if given.keys() <= declared else declared | declared_by_any(code)
        refuse_unknown(given, taken, path)
    return Site(
        typed(table, "title", str, path),
        typed(table, "author", str, path, ""),
        typed(table, "description", str, path, ""),
        address_in(table, path),
        datasets,
        list(parts.values()),
        sorted(sections, key=lambda each: each.order),
    )


def declared_by_any(code: Code) -> set[str]:
    """Return the parameters of all modules, whether a section of content/ names them or not."""
    found: set[str] = set()
    for path in (code.root / "generators").rglob("*.py"):
        # Programs of their own have recipes of kinds that no section may have.
        with suppress(AuthorError):
            summary = code.summary(".".join(path.relative_to(code.root).with_suffix("").parts))
            fields = summary.fields.get("Parameters", []) if summary else []
            found |= {field.name for field in fields}
    return found


def address_in(table: dict[str, object], path: Path) -> str:
    """Return the address of the published site without a slash at its end, or ""."""
    address = typed(table, "address", str, path, "").rstrip("/")
    if address and not ADDRESS.fullmatch(address):
        raise AuthorError(
            f"content/{path.name}: address = {address!r}, expected one that begins with https://"
        )
    return address


def part_of(
    name: str,
    entry: dict[str, object],
    root: Path,
    model: str | None,
    suited: dict[str, dict[str, object]],
) -> Part:
    path = root / "content" / "site.toml"
    refuse_unknown(entry, PART_KEYS, path)
    named = typed(entry, "model", str, path, "")
    judge = typed(entry, "judge", str, path, "")
    chosen = (model or named) if named else ""
    try:
        found = find_model(chosen, root, judge) if chosen else None
    except AuthorError as error:
        where = "--model" if model else f"content/{path.name}, parts.{name}"
        raise AuthorError(f"{where}: {error}") from None
    return Part(
        name,
        typed(entry, "title", str, path),
        typed(entry, "text", str, path, ""),
        found,
        suited.get(chosen) or suited.get(chosen.split(",")[0].strip(), {}),
    )


def network(
    name: str, entry: dict[str, object], code: Code, content: Path, draft: bool, seed: int
) -> Network:
    where = f"content/site.toml, networks.{name}"
    given = dict(entry)
    trainer = given.pop("trainer", None)
    drafted = given.pop("draft", {})
    data = dataset_in(given, where)
    given.pop("data", None)
    if not isinstance(trainer, str):
        raise AuthorError(
            f"{where}: trainer is missing, expected a module such as 'digits.denoising'"
        )
    refuse_module(trainer, code, f"{where}: trainer")
    code.definition(f"generators.{trainer}", "train")
    if not isinstance(drafted, dict):
        raise AuthorError(f"{where}: draft = {drafted!r}, expected a table")
    fields = fields_of(code, trainer, "Recipe")
    quick = checked(given | drafted, fields, where, content)
    recipe = quick if draft else checked(given, fields, where, content)
    return Network(name, f"generators.{trainer}", recipe, seed, data)


def dataset_in(table: dict[str, object], where: str) -> str:
    """Return the data set that a table names under `data`, or "" for MNIST, which all mean."""
    name = table.get("data", MNIST)
    if name == MNIST:
        return ""
    if not isinstance(name, str) or name not in DATASETS:
        raise AuthorError(f"{where}: data = {name!r}{nearest(str(name), DATASETS)}")
    return name


def section(
    path: Path,
    code: Code,
    networks: dict[str, Network],
    parts: dict[str, Part],
    draft: bool,
    seed: int,
) -> Section:
    name = NAME.fullmatch(path.name)
    if not name:
        raise AuthorError(
            f"content/{path.name}: expected a letter, digits, a dash and a name: b11-noising.md"
        )
    where = f"content/{path.name}"
    head, body = split(path)
    table = parsed(path, head)
    refuse_unknown(table, KEYS, path)
    part = typed(table, "part", str, path)
    if part not in parts:
        raise AuthorError(f"{where}: part = {part!r}{nearest(part, parts)}")
    named = typed(table, "generator", str, path)
    refuse_module(named, code, f"{where}: generator")
    generator = f"generators.{named}"
    for function in ("experiment", "figures"):
        code.definition(generator, function)
    fields = fields_of(code, generator.removeprefix("generators."), "Parameters")
    given = suiting(parts[part], fields, path.parent) | typed(table, "parameters", dict, path, {})
    quick = checked(given | typed(table, "draft", dict, path, {}), fields, where, path.parent)
    parameters = quick if draft else checked(given, fields, where, path.parent)
    found = networks_in(table, networks, path)
    refuse_later(parameters, found, where)
    refuse_others(parameters, fields, found, where)
    return Section(
        name[1],
        path,
        typed(table, "title", str, path),
        part,
        number_in(table, path),
        generator,
        parameters,
        [field.name for field in fields if "File" in field.kind],
        found,
        typed(table, "seed", int, path, seed),
        body,
        parts[part].model,
        dataset_in(table, where),
        typed(table, "picture", str, path, ""),
    )


def number_in(table: dict[str, object], path: Path) -> str:
    """Return the number of a section, by which a part orders its sections."""
    number = typed(table, "number", str, path)
    if not NUMBER.fullmatch(number):
        raise AuthorError(f"content/{path.name}: number = {number!r}, expected one such as '1.2'")
    return number


def suiting(part: Part, fields: list[Field], content: Path) -> dict[str, object]:
    """Return those of a section's parameters that the model of its part wants to be other."""
    where = "content/site.toml, models"
    return {
        field.name: fitting(part.suited[field.name], field, f"{where}: {field.name}", content)
        for field in fields
        if field.name in part.suited
    }


def networks_in(
    table: dict[str, object], networks: dict[str, Network], path: Path
) -> list[Network]:
    """Return the networks that a section names, of its data.

    Raises: AuthorError for one of other data than the section's: its samples would be judged and
    captioned as what they are not.
    """
    where = f"content/{path.name}"
    wanted = list(map(str, typed(table, "networks", list, path, [])))
    data = dataset_in(table, where)
    for each in wanted:
        if each not in networks:
            raise AuthorError(f"{where}: unknown network {each!r}{nearest(each, networks)}")
        other = networks[each].data
        if other and other != data:
            remedy = f"set data = {other!r} here too, or name another network"
            raise AuthorError(f"{where}: network {each!r} is of {other}; {remedy}")
    return [networks[each]._replace(data=data) for each in wanted]


def refuse_twins(sections: list[Section]) -> None:
    names: dict[str, Section] = {}
    numbers: dict[tuple[str, str], Section] = {}
    for each in sections:
        if each.name in names:
            other = names[each.name].path.name
            raise AuthorError(
                f"content/{each.path.name}: {each.name!r} is also the name of {other}"
            )
        names[each.name] = each
        if (each.part, each.number) in numbers:
            other = numbers[each.part, each.number].path.name
            raise AuthorError(
                f"content/{each.path.name}: {each.label} is also the number of {other}"
            )
        numbers[each.part, each.number] = each
