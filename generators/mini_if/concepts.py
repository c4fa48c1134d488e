"""What the pictures show, and the words for it."""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from PIL import Image

from generators.mini_if import drawn
from generators.mini_if.glyphs import glyph


class Concept(NamedTuple):
    """A thing: its phrases, and its sprite for a given random source."""

    phrases: tuple[str, ...]
    sprite: Callable[[Random], Image.Image]


class View(NamedTuple):
    """A whole picture with a ground of its own: its phrases, and how it is drawn at a size."""

    phrases: tuple[str, ...]
    draw: Callable[[Random, int], Image.Image]


def thing(text: str, *phrases: str) -> Concept:
    """Return the concept that is one emoji."""
    return Concept(phrases, lambda _: glyph(text))


VIEWS: dict[str, View] = {
    "village": View(("a snowy mountain village",), drawn.village),
    "coast": View(("the amalfi coast",), drawn.coast),
    "waterfalls": View(("waterfalls", "a waterfall"), drawn.waterfalls),
    "campfire": View(("people around a campfire",), drawn.campfire),
}

OBJECTS: dict[str, Concept] = {
    "man": Concept(("a man",), drawn.man),
    "man with hat": Concept(("a man wearing a hat", "a man with a hat"), drawn.man_with_hat),
    "old man": Concept(("an old man",), drawn.old_man),
    "old lady": Concept(("an old lady", "an old woman"), drawn.old_lady),
    "woman": Concept(("a woman",), drawn.woman),
    "barista": Concept(("a hipster barista",), drawn.barista),
    "bell tower": Concept(("a bell tower", "a campanile"), drawn.bell_tower),
    "chip": Concept(("a cpu", "a computer chip"), drawn.chip),
    "dog": thing("\U0001f436", "a dog"),
    "cat": thing("\U0001f431", "a cat"),
    "skull": thing("\U0001f480", "a skull"),
    "rocket": thing("\U0001f680", "a rocket ship", "a rocket"),
    "car": thing("\U0001f697", "a car", "a red car"),
    "pencil": thing("✏", "a pencil"),
    "football": thing("⚽", "a football"),
    "rainbow flag": thing("\U0001f3f3️‍\U0001f308", "a rainbow flag"),
    "bed": thing("\U0001f6cf", "a soft bed", "a bed"),
    "eye": thing("\U0001f441", "an eye"),
    "fox": thing("\U0001f98a", "a fox"),
    "bear": thing("\U0001f43b", "a bear"),
    "panda": thing("\U0001f43c", "a panda"),
    "lion": thing("\U0001f981", "a lion"),
    "frog": thing("\U0001f438", "a frog"),
    "penguin": thing("\U0001f427", "a penguin"),
    "owl": thing("\U0001f989", "an owl"),
    "elephant": thing("\U0001f418", "an elephant"),
    "turtle": thing("\U0001f422", "a turtle"),
    "whale": thing("\U0001f433", "a whale"),
    "octopus": thing("\U0001f419", "an octopus"),
    "butterfly": thing("\U0001f98b", "a butterfly"),
    "bee": thing("\U0001f41d", "a bee"),
    "fish": thing("\U0001f420", "a fish"),
    "apple": thing("\U0001f34e", "an apple", "a red apple"),
    "banana": thing("\U0001f34c", "a banana"),
    "strawberry": thing("\U0001f353", "a strawberry"),
    "pizza": thing("\U0001f355", "a slice of pizza", "a pizza"),
    "cake": thing("\U0001f382", "a birthday cake", "a cake"),
    "mushroom": thing("\U0001f344", "a mushroom"),
    "cactus": thing("\U0001f335", "a cactus"),
    "tree": thing("\U0001f333", "a tree"),
    "sunflower": thing("\U0001f33b", "a sunflower"),
    "tulip": thing("\U0001f337", "a tulip"),
    "house": thing("\U0001f3e0", "a house"),
    "castle": thing("\U0001f3f0", "a castle"),
    "sailboat": thing("⛵", "a sailboat", "a sailing boat"),
    "bicycle": thing("\U0001f6b2", "a bicycle"),
    "train": thing("\U0001f682", "a train", "a steam train"),
    "balloon": thing("\U0001f388", "a balloon", "a red balloon"),
    "guitar": thing("\U0001f3b8", "a guitar"),
    "umbrella": thing("☂", "an umbrella"),
    "clock": thing("⏰", "an alarm clock", "a clock"),
    "book": thing("\U0001f4d5", "a book", "a red book"),
    "cup": thing("☕", "a cup of coffee"),
    "snowman": thing("⛄", "a snowman"),
    "robot": thing("\U0001f916", "a robot"),
    "ghost": thing("\U0001f47b", "a ghost"),
    "pumpkin": thing("\U0001f383", "a pumpkin"),
    "crown": thing("\U0001f451", "a crown"),
    "star": thing("⭐", "a star"),
    "sun": thing("☀", "the sun"),
    "heart": thing("❤", "a heart", "a red heart"),
}

EXERCISE = (*VIEWS, *list(OBJECTS)[:18])
"""What the prompts of the write-up ask for; these are drawn more often than the rest."""

CORE = (*VIEWS, *OBJECTS)
TAUGHT = (*EXERCISE, "fox", "apple", "tree", "house", "sailboat", "sunflower", "penguin", "robot")
"""What the cascade learns: few enough for some hours of two CPU cores. The judge knows all."""


def phrases(name: str) -> Sequence[str]:
    """Return the phrases for a concept, each with its article."""
    return (VIEWS.get(name) or OBJECTS[name]).phrases
