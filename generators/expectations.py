"""What a section's parameters say of its networks, checked before anything runs."""

from typing import TYPE_CHECKING

from generators.code import Field
from generators.errors import AuthorError, nearest
from generators.parameters import Value, whole_numbers

if TYPE_CHECKING:
    from generators.content import Network


def refuse_later(parameters: dict[str, Value], networks: list["Network"], where: str) -> None:
    """Raise an AuthorError for an epoch after the last of a section's networks."""
    recipes = {each.name: each.recipe.get("epochs") for each in networks}
    trained = {name: epochs for name, epochs in recipes.items() if isinstance(epochs, int)}
    limits = {"epochs": ("its networks are", max(trained.values(), default=0))}
    for name, value in parameters.items():
        if isinstance(value, str) and value in trained:
            limits[f"{name}_epochs"] = (f"{value} is", trained[value])
    for name, (whose, last) in limits.items():
        asked = whole_numbers(parameters.get(name))
        if last and asked and max(asked) > last:
            raise AuthorError(f"{where}: {name} = {asked}, but {whose} trained for {last}")


def refuse_others(
    parameters: dict[str, Value], fields: list[Field], networks: list["Network"], where: str
) -> None:
    """Raise an AuthorError for a network of another kind than its parameter declares."""
    for field in fields:
        if field.trained:
            value = parameters[field.name]
            names = value if isinstance(value, tuple) else (value,)
            for name in map(str, names):
                refuse_other(name, *field.trained, networks, f"{where}: {field.name} = {name!r}")


def refuse_other(
    name: str, trainer: str, recipe: dict[str, object], networks: list["Network"], where: str
) -> None:
    there = {each.name: each for each in networks}
    if name not in there:
        raise AuthorError(f"{where}, which is not among its networks{nearest(name, there)}")
    found = there[name].trainer.removeprefix("generators.")
    if found != trainer:
        raise AuthorError(f"{where}, a network of {found}, expected one of {trainer}")
    for entry, expected in recipe.items():
        value = there[name].recipe.get(entry)
        if value != expected:
            told = f"which has {entry} = {value} in its recipe, expected {expected}"
            raise AuthorError(f"{where}, {told}")
