"""What an experiment found, as bytes: arrays in safetensors, the rest in its metadata."""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from generators.errors import AuthorError

RESULTS = "results.safetensors"
Results = TypeVar("Results")


def pack(results: object) -> bytes:
    """Return the fields of a frozen dataclass: arrays lossless, the rest as JSON.

    Raises: AuthorError naming the field that is neither an array nor numbers and text.
    """
    if not dataclasses.is_dataclass(results) or isinstance(results, type):
        raise AuthorError(f"experiment() returned {type(results).__name__}, expected a dataclass")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    rest: dict[str, object] = {}
    for field in dataclasses.fields(results):
        value = getattr(results, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = np.ascontiguousarray(value)
            continue
        try:
            json.dumps(value)
        except TypeError:
            kind = type(value).__name__
            raise AuthorError(f"Results.{field.name} is a {kind}, expected a numpy array") from None
        rest[field.name] = value
    return save(arrays, {"rest": json.dumps(rest, sort_keys=True)})


def unpack(path: Path, kind: type[Results]) -> Results:
    """Return the results of type `kind` that were packed into a file.

    Raises: ValueError naming the file when it is damaged or of another make.
    """
    try:
        with safe_open(path, "numpy") as file:
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            rest = json.loads((file.metadata() or {})["rest"])
        values |= {name: frozen(value) for name, value in rest.items()}
        return kind(**values)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not the results that {kind.__module__} writes ({error})"
        ) from None


def frozen(value: object) -> object:
    """Turn JSON's lists into tuples."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value
