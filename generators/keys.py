"""Keys: what a result was made from, so that equal keys mean equal results."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from generators.code import Code
from generators.content import Network, Section
from generators.files import digest
from generators.stand_in import ARCHIVE
from generators.stand_in import NAME as STAND_IN

FORMAT = "1"
INPUT = "input "
"""What the part of a file that a section reads begins with; its place in the checkout follows."""
CASCADE = (
    ("generators.diffusion.cascade", "Cascade"),
    ("generators.diffusion.stage", "Stage"),
    ("generators.diffusion.schedule", "schedule_of"),
    ("generators.diffusion.scheduler_config", "read_config"),
    ("generators.diffusion.text", "encode"),
    ("generators.mini_if.judge", "Judge"),
)
"""What a cascade computes with; how it is found, fetched and read is no part of a key."""


class Key(NamedTuple):
    """A digest, and the parts it was computed from: what they are called, and their values."""

    digest: str
    parts: dict[str, str]


def keyed(parts: dict[str, str]) -> Key:
    text = json.dumps([FORMAT, sorted(parts.items())])
    return Key(digest(text.encode())[:32], parts)


def code_parts(code: Code, module: str, name: str) -> dict[str, str]:
    return {f"code {node}": value[:16] for node, value in code.reach(module, name).items()}


def network_key(code: Code, network: Network) -> Key:
    """Return the key of a trained network: its trainer's code, its recipe, its seed."""
    parts = code_parts(code, network.trainer, "train")
    parts |= {f"recipe {name}": json.dumps(value) for name, value in network.recipe.items()}
    return keyed(parts | {"seed": str(network.seed)} | data_part(code, network.data))


def experiment_key(code: Code, section: Section) -> Key:
    """Return the key of a section's experiment: code, the parameters it reads, inputs, networks."""
    parts = code_parts(code, section.generator, "experiment")
    # The context derives every random stream from the seed and the section's name.
    parts |= {"seed": str(section.seed), "name": section.name}
    parts |= data_part(code, section.data)
    parts |= parameter_parts(code, section, "experiment")
    parts |= code_parts(code, "generators.streams", "stream")
    for network in section.networks:
        for name, value in network_key(code, network).parts.items():
            parts[f"network {network.name}: {name}"] = value
    if section.model:
        parts |= section.model.identity
        for module, name in CASCADE:
            parts |= code_parts(code, module, name)
        if section.model.judge and not section.model.judge.endswith(".safetensors"):
            parts |= code_parts(code, "generators.diffusion.clip", "Clip")
    return keyed(parts)


def data_part(code: Code, name: str) -> dict[str, str]:
    """Return the part that tells results apart which are not made on the data asked for."""
    value = file_digest(code.root / ARCHIVE) if name == STAND_IN else "in place of mnist"
    return {f"data {name}": value} if name else {}


def figures_key(code: Code, section: Section, experiment: Key) -> Key:
    """Return the key of a section's figures: their code and how figures are drawn at all."""
    parts = code_parts(code, "generators.drawing", "draw")
    parts |= code_parts(code, section.generator, "figures")
    parts |= parameter_parts(code, section, "figures")
    return keyed(parts | {"experiment": experiment.digest})


def parameter_parts(code: Code, section: Section, function: str) -> dict[str, str]:
    """Return the parameters that one half of a section reads, files by their bytes.

    Where it reads what is no parameter, a property of theirs say, it may read all of them.
    """
    reads = code.definition(section.generator, function).reads
    parts: dict[str, str] = {}
    if reads is not None and not section.parameters.keys() >= set(reads):
        reads = None
        parts |= code_parts(code, section.generator, "Parameters")
    for name, value in section.parameters.items():
        if reads is None or name in reads:
            parts[f"parameter {name}"] = json.dumps(value)
            if name in section.files:
                files = value if isinstance(value, tuple) else (value,)
                for file in map(str, files):
                    parts[f"{INPUT}content/{file}"] = file_digest(section.path.parent / file)
    return parts


def file_digest(path: Path) -> str:
    return digest(path.read_bytes())[:16]


def is_code(part: str) -> bool:
    """Whether a part of a key is a definition, of a section or of one of its networks."""
    return re.match(r"(network [^:]+: )?code ", part) is not None


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Say in words, one line each, what makes two keys differ."""
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"{name} is new")
        elif name not in new:
            lines.append(f"{name} is gone")
        elif old[name] != new[name]:
            is_hash = is_code(name) or name.startswith(INPUT)
            lines.append(f"{name} changed" + ("" if is_hash else f": {old[name]} → {new[name]}"))
    return lines
