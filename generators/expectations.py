"""What a section's parameters say of its networks, checked before anything runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from generators.code import Field, PackedTrained
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
                refuse_other(name, field.trained, networks, f"{where}: {field.name} = {name!r}")


def refuse_other(
    name: str, kinds: Sequence[PackedTrained], networks: list["Network"], where: str
) -> None:
    there = {each.name: each for each in networks}
    if name not in there:
        raise AuthorError(f"{where}, which is not among its networks{nearest(name, there)}")
    found = there[name].trainer.removeprefix("generators.")
    recipes = [recipe for trainer, recipe in kinds if trainer == found]
    if not recipes:
        trainers = " or ".join(trainer for trainer, _ in kinds)
        raise AuthorError(f"{where}, a network of {found}, expected one of {trainers}")
    recipe = there[name].recipe
    misfits = [
        [entry for entry, expected in each.items() if recipe.get(entry) != expected]
        for each in recipes
    ]
    if all(misfits):
        entry = misfits[0][0]
        told = f"{entry} = {recipe.get(entry)} in its recipe, expected {recipes[0][entry]}"
        raise AuthorError(f"{where}, which has {told}")
