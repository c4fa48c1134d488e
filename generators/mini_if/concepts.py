"""What the pictures show, and the words for it."""

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import NamedTuple

from PIL import Image

from generators.mini_if import drawn
from generators.mini_if.emoji import emoji, plain
from generators.mini_if.glyphs import glyph


class Concept(NamedTuple):
    """A thing: its phrases, its sprite for a given random source, and its emoji if it is one."""

    phrases: tuple[str, ...]
    sprite: Callable[[Random], Image.Image]
    text: str = ""


class View(NamedTuple):
    """A whole picture with a ground of its own: its phrases, and how it is drawn at a size."""

    phrases: tuple[str, ...]
    draw: Callable[[Random, int], Image.Image]


def thing(text: str, *phrases: str) -> Concept:
    """Return the concept that is one emoji."""
    return Concept(phrases, lambda _: glyph(text), text)


VIEWS: dict[str, View] = {
    "village": View(("a snowy mountain village",), drawn.village),
    "coast": View(("the amalfi coast",), drawn.coast),
    "waterfalls": View(("waterfalls", "a waterfall"), drawn.waterfalls),
    "campfire": View(("people around a campfire",), drawn.campfire),
}

MORE = {
    "a monkey": 0x1F435, "a horse": 0x1F434, "a zebra": 0x1F993, "a cow": 0x1F42E,
    "a pig": 0x1F437, "a sheep": 0x1F411, "a camel": 0x1F42A, "a giraffe": 0x1F992,
    "a rabbit": 0x1F430, "a hedgehog": 0x1F994, "a bat": 0x1F987, "a kangaroo": 0x1F998,
    "a chicken": 0x1F414, "an eagle": 0x1F985, "a duck": 0x1F986, "a flamingo": 0x1F9A9,
    "a parrot": 0x1F99C, "a crocodile": 0x1F40A, "a snake": 0x1F40D, "a dragon": 0x1F409,
    "a dinosaur": 0x1F995, "a shark": 0x1F988, "a crab": 0x1F980, "a snail": 0x1F40C,
    "a ladybird": 0x1F41E, "a spider": 0x1F577, "grapes": 0x1F347, "a lemon": 0x1F34B,
    "a pineapple": 0x1F34D, "cherries": 0x1F352, "a carrot": 0x1F955, "a pretzel": 0x1F968,
    "cheese": 0x1F9C0, "a hamburger": 0x1F354, "an ice cream": 0x1F366, "a doughnut": 0x1F369,
    "a fried egg": 0x1F373, "a teapot": 0x1FAD6, "a wine glass": 0x1F377, "a palm tree": 0x1F334,
    "a fir tree": 0x1F332, "a rose": 0x1F339, "a maple leaf": 0x1F341, "a clover": 0x1F340,
    "an aeroplane": 0x2708, "a helicopter": 0x1F681, "a bus": 0x1F68C, "a tractor": 0x1F69C,
    "a motorcycle": 0x1F3CD, "an anchor": 0x2693, "a key": 0x1F511, "a light bulb": 0x1F4A1,
    "a candle": 0x1F56F, "a camera": 0x1F4F7, "a television": 0x1F4FA, "a telephone": 0x260E,
    "a hammer": 0x1F528, "scissors": 0x2702, "a magnet": 0x1F9F2, "a bell": 0x1F514,
    "a drum": 0x1F941, "a trumpet": 0x1F3BA, "a piano": 0x1F3B9, "a microphone": 0x1F3A4,
    "a present": 0x1F381, "glasses": 0x1F453, "a shirt": 0x1F455, "a ring": 0x1F48D,
    "a trophy": 0x1F3C6, "a globe": 0x1F30D, "a crescent moon": 0x1F319, "a snowflake": 0x2744,
    "a tent": 0x26FA, "a ferris wheel": 0x1F3A1, "a fountain": 0x26F2, "a basketball": 0x1F3C0,
    "a chair": 0x1FA91, "a door": 0x1F6AA, "an hourglass": 0x23F3, "an envelope": 0x2709,
    "an axe": 0x1FA93, "a shield": 0x1F6E1, "a brain": 0x1F9E0, "a tooth": 0x1F9B7,
    "a hand": 0x270B,
}  # fmt: skip
"""What the judge knows besides: a phrase, and its emoji."""

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
    **{phrase.removeprefix("an ").removeprefix("a "): thing(chr(emoji), phrase)
       for phrase, emoji in MORE.items()},
}  # fmt: skip

CORE = (*VIEWS, *OBJECTS)
TAUGHT = CORE[: -len(MORE)]
"""What the cascade learns: few enough for some hours of two CPU cores. The judge knows all."""
PROMPTED = frozenset({
    *VIEWS, "man", "man with hat", "old man", "old lady", "barista", "chip", "dog", "cat", "skull",
    "rocket", "pencil", "eye",
})  # fmt: skip
"""What the write-up asks for again and again: drawn twice as often as the rest."""


@cache
def everything() -> tuple[str, ...]:
    """Return CORE and the name of every other emoji, as Unicode has them.

    Raises: AuthorError where Unicode's list of them is not installed.
    """
    known = {plain(each.text) for each in OBJECTS.values()}
    others = (name for name, each in emoji().items() if plain(each.text) not in known)
    return (*CORE, *(name for name in others if name not in CORE))


def taught(selection: str) -> tuple[str, ...]:
    """Return what a recipe teaches: "everything", or TAUGHT alone."""
    return everything() if selection == "everything" else TAUGHT


@cache
def concept(name: str) -> Concept:
    """Return a thing of `everything` that is no view."""
    if name in OBJECTS:
        return OBJECTS[name]
    found = emoji()[name]
    return thing(found.text, *map(with_article, (name, *found.keywords)))


def with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def phrases(name: str) -> Sequence[str]:
    """Return the phrases for a concept, each with its article."""
    return VIEWS[name].phrases if name in VIEWS else concept(name).phrases
