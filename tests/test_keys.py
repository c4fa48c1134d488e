"""What makes a section stale and what does not: the promise of the whole build."""

import pytest
from conftest import ROOT, Small

from generators.code import Code
from generators.definitions import summarise
from generators.keys import experiment_key
from generators.project import open_project

TINY = "generators/tiny"
MIXED = "content/b1-mixed.md"


CHANGES_NOTHING = {
    "a docstring": (f"{TINY}/further.py", '"""Values from 0 to 1."""', '"""Values."""'),
    "a docstring taken away": (f"{TINY}/mixed.py", '    """Make a gradient."""\n', ""),
    "a comment": (f"{TINY}/package/furthest.py", "# A comment.", "# Another one."),
    "formatting": (f"{TINY}/near.py", "Ramp(size)", "Ramp(\n        size,\n    )"),
    "an annotation": (f"{TINY}/near.py", "size: int", "size: float"),
    "a function nobody calls": (f"{TINY}/near.py", "return 1", "return 2"),
    "a spelling of a number": (f"{TINY}/package/furthest.py", "LAST = 1.0", "LAST = 1e0"),
    "prose": (MIXED, "Words before", "Other words before"),
    "a title": (MIXED, 'title = "Mixed"', 'title = "Mixed up"'),
    "a parameter nobody reads": (MIXED, "scale = 0.5", "scale = 0.5\nunused = 3"),
    "the default of a parameter that is given": (f"{TINY}/mixed.py", "Range(0, 1)] = 1.0", "Range(0, 1)] = 0.7"),
    "a parameter given its default": (MIXED, "scale = 0.5", "scale = 0.5\ncolumns = 2"),
    "a range": (f"{TINY}/mixed.py", "Range(0, 1)", "Range(0, 2)"),
}  # fmt: skip

CHANGES_FIGURES = {
    "a caption": (f"{TINY}/mixed.py", "A gradient.", "A grey gradient."),
    "a parameter of the figures": (MIXED, "scale = 0.5", "scale = 0.5\ncolumns = 3"),
    "how figures are drawn": ("generators/encoding.py", "MARGIN = 1", "MARGIN = 2"),
    "how plots are drawn": ("generators/plotting.py", '"font.size": 10', '"font.size": 11'),
}

CHANGES_EXPERIMENT = {
    "its own code": (f"{TINY}/mixed.py", "* parameters.scale", "/ parameters.scale"),
    "a helper one import away": (f"{TINY}/near.py", ".values()", ".values() * 2"),
    "a method two imports away": (f"{TINY}/further.py", "* self.factor", "+ self.factor"),
    "a default two imports away": (f"{TINY}/further.py", "factor=1.0", "factor=2.0"),
    "a helper three imports away": (f"{TINY}/package/furthest.py", "linspace(0.0", "linspace(0.1"),
    "a constant three imports away": (f"{TINY}/package/furthest.py", "LAST = 1.0", "LAST = 2.0"),
    "what a package hands on": (f"{TINY}/package/__init__.py", "import ramp as", "import LAST as"),
    "a name imported by a star": (f"{TINY}/colours.py", "WHITE = 1.0", "WHITE = 0.5"),
    "what the context draws from": ("generators/streams.py", ">> 1", ">> 2"),
    "a statement beside the functions": (f"{TINY}/near.py", "def other", "print()\n\ndef other"),
    "a loop beside the functions": (
        f"{TINY}/near.py",
        "def other",
        "for number in ():\n    print(number)\n\n\ndef other",
    ),
    "an entry beside the functions": (
        f"{TINY}/near.py",
        "def other",
        'last = beyond.TABLE["a"] = 1\n\n\ndef other',
    ),
    "a parameter": (MIXED, "scale = 0.5", "scale = 0.25"),
    "a default that is used": (f"{TINY}/mixed.py", '"input.bin"\n', '"b2-plain.md"\n'),
    "the bytes of an input": ("content/input.bin", "8", "88"),
    "the seed of the site": ("content/site.toml", "seed = 180", "seed = 181"),
    "the seed of the section": (MIXED, 'part = "b"', 'part = "b"\nseed = 7'),
}

EDITS = [
    *((name, edit, (False, False)) for name, edit in CHANGES_NOTHING.items()),
    *((name, edit, (False, True)) for name, edit in CHANGES_FIGURES.items()),
    *((name, edit, (True, True)) for name, edit in CHANGES_EXPERIMENT.items()),
]


@pytest.mark.parametrize(("edit", "expected"), [e[1:] for e in EDITS], ids=[e[0] for e in EDITS])
def test_an_edit_makes_stale_what_depends_on_it(
    small: Small, edit: tuple[str, str, str], expected: tuple[bool, bool]
) -> None:
    file, old, new = edit
    original = (small.root / file).read_bytes()
    before = small.keys("mixed")
    small.edit(file, old, new)
    after = small.keys("mixed")
    assert (before[0] != after[0], before[1] != after[1]) == expected
    (small.root / file).write_bytes(original)
    assert small.keys("mixed") == before, "undoing an edit is a hit again"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("content/site.toml", "epochs = 3", "epochs = 4"),
        (f"{TINY}/training.py", "0.1)", "0.2)"),
        (f"{TINY}/training.py", "torch.randn(8", "torch.randn(9"),
    ],
    ids=["its recipe", "its trainer", "its batches"],
)
def test_a_change_of_a_network_reaches_the_sections_that_name_it(
    small: Small, file: str, old: str, new: str
) -> None:
    named, other = small.keys("trained"), small.keys("mixed")
    small.edit(file, old, new)
    assert small.keys("trained")[0] != named[0]
    assert small.keys("mixed") == other


def test_two_sections_of_one_generator_and_other_names_have_other_keys(small: Small) -> None:
    """They draw from other random streams."""
    content = small.root / "content"
    (content / "b4-again.md").write_text(
        (content / "b1-mixed.md").read_text().replace('"1"', '"4"')
    )
    assert small.keys("again")[0] != small.keys("mixed")[0]


def test_what_is_remembered_of_the_code_changes_no_key(small: Small) -> None:
    memory = small.root / ".cache" / "definitions.json"
    first = Code(small.root, memory)
    reached = first.reach("generators.tiny.mixed", "experiment")
    first.save()
    assert Code(small.root, memory).reach("generators.tiny.mixed", "experiment") == reached
    memory.write_bytes(memory.read_bytes()[:100])
    assert Code(small.root, memory).reach("generators.tiny.mixed", "experiment") == reached


def test_the_judge_that_is_named_is_part_of_the_key() -> None:
    project = open_project(ROOT, None, False)
    section = next(each for each in project.site.sections if each.name == "anagrams")
    assert section.model
    embedded = experiment_key(project.code, section)
    clip = section._replace(model=section.model._replace(judge="openai/clip-vit-large-patch14"))
    found = "code generators.diffusion.clip:Clip"
    assert found not in embedded.parts
    assert found in experiment_key(project.code, clip).parts


def test_a_function_reaches_exactly_what_it_uses(small: Small) -> None:
    reached = Code(small.root).reach("generators.tiny.mixed", "experiment")
    ours = {name for name in reached if ".tiny" in name}
    assert ours == {
        f"generators.tiny.{name}"
        for name in (
            "mixed:experiment",
            "mixed:Results",
            "near:gradient",
            "further:Ramp",
            "package.furthest:ramp",
            "package.furthest:LAST",
            "colours:WHITE",
        )
    }


SYNTAX = '''
"""Module."""
import a.b as c
from . import d

X: int = 1_000
Y = 0x10, -1.5, 1e-3, 2j, b"\\xff", "ä\\U0001fae8", None, True, ...

@c.wrap(key=lambda v, *r, k=X, **o: (v, r))
async def f(p, /, q: int = X, *, s="t") -> str:
    """Docstring."""
    async with c as h, d:
        await h
    for i, (j, *k) in enumerate(q[1:2, ::3]):
        if not (i := j) <= 3 < k != "":
            continue
        else:
            break
    while False:
        pass
    try:
        return f"{p!r:>{q}}{s=} plain {{brace}} {'nested'} " f"{p}" "tail"
    except (A, B) as error:
        raise C from error
    finally:
        del p
    return [n async for n in p if n], {**p, "k": {1, 2}}, (yield), *k

class K(c.L, metaclass=M):
    field: "int | None" = None
    def method(self):
        match self:
            case {"x": [1, *rest], **others} | None if rest:
                return others
            case Point(x=0, y=-1) as p:
                global G
                G = p
        return super().method() @ self.y ** 2 // 3
'''


def test_a_name_stands_for_all_that_it_is_imported_as() -> None:
    stars = "from a import *\nfrom b import *\n"
    local = "def f():\n    from c import g\n\n\ndef h():\n    from d import g\n"
    assert summarise(stars + local, "m").imports == {"*": ["a:*", "b:*"], "g": ["c:g", "d:g"]}


def test_what_a_property_of_parameters_reads_is_part_of_the_key(small: Small) -> None:
    twice = "    columns: int = 2\n\n    @property\n    def twice(self):\n        return 2 * self.scale\n"
    small.edit(f"{TINY}/mixed.py", "    columns: int = 2\n", twice)
    small.edit(f"{TINY}/mixed.py", "* parameters.scale", "* parameters.twice")
    before = small.keys("mixed")
    small.edit(MIXED, "scale = 0.5", "scale = 0.25")
    after = small.keys("mixed")
    assert after[0] != before[0]
    small.edit(f"{TINY}/mixed.py", "return 2 * self", "return 3 * self")
    assert small.keys("mixed")[0] != after[0]


def test_code_that_is_imported_or_defined_is_followed_both_ways(small: Small) -> None:
    either = "try:\n    from generators.tiny import near\nexcept ImportError:\n    near = None\n"
    small.edit(f"{TINY}/mixed.py", "from generators.tiny import near\n", either)
    before = small.keys("mixed")
    small.edit(f"{TINY}/near.py", ".values()", ".values() * 2")
    assert small.keys("mixed")[0] != before[0]


def test_digests_are_the_same_on_every_python() -> None:
    summary = summarise(SYNTAX, "m.n")
    digests = {name: each.digest[:12] for name, each in summary.definitions.items()}
    assert digests == {
        "X": "96e6e099b5d1",
        "Y": "16ebbfa59259",
        "f": "87e43be9ea21",
        "K": "accb7f7002c7",
    }
    assert summary.imports == {"c": ["a.b"], "d": ["m:d"]}
    assert summary.definitions["f"].refers == [
        "A",
        "B",
        "C",
        "X",
        "c",
        "c.wrap",
        "d",
        "enumerate",
        "n",
    ]
