"""B3.4: samples judged and shown among test digits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_comparison import asked_in, judge_in, network_of
from test_digits import folder
from test_samples import exaggerate
from test_without_scheduler import context

from generators.digits import flow
from generators.digits.conditioned import class_unet
from generators.digits.data import load
from generators.digits.flow import midpoint
from generators.digits.many import Integrated, samples, seeds_of
from generators.errors import AuthorError
from generators.figure import Number, Panels
from generators.part_b import ten_thousand as section
from generators.processes import is_everywhere
from generators.results import pack, unpack
from generators.streams import stream

__all__ = ["folder"]


def test_the_rows_that_are_called_real_are_test_digits(folder: Path, tmp_path: Path) -> None:
    judge = judge_in(tmp_path / "judge", folder)
    networks = {
        "flow-class": network_of(flow, tmp_path / "flow", folder),
        "judge-features": judge,
        "judge-answers": judge,
    }
    exaggerate(networks["flow-class"].weights(2))
    parameters = section.Parameters(
        count=60, draws=2, references=60, evaluations=2, scales=(0.0, 1.5)
    )
    here = context(networks, folder)
    results = section.experiment(here, parameters)
    asked, _ = asked_in(here, folder, 60)
    network = class_unet(networks["flow-class"].weights(2))
    seeds = seeds_of(stream(here.stream("samples"), 0), len(asked.labels))
    first = samples(network, Integrated(midpoint, 2), 2, 1.5, asked.labels, seeds)
    shown = section.first_rows(first, asked.labels)
    drawn = results.rows[[not each for each in results.real]]
    assert {row.tobytes() for row in drawn} == {row.tobytes() for row in shown.numpy()}
    assert results.scores.shape == (2, 2, 5)
    assert (results.scores[0] != results.scores[1]).any(), "every draw has noises of its own"
    assert sum(results.real) == section.ROWS
    test = load(folder, "t10k")
    for row, is_real in zip(results.rows, results.real, strict=True):
        for digit, image in enumerate(row):
            of_class = test.images[test.labels == digit].numpy()
            assert (of_class == image).all(axis=(1, 2)).any() == is_real
    path = tmp_path / "results.safetensors"
    path.write_bytes(pack(results))
    outputs = list(section.figures(unpack(path, section.Results), parameters))
    numbers = {each.name: each.text for each in outputs if isinstance(each, Number)}
    distances = results.scores[:, 1, 1]
    told = [numbers[f"scale-1.5-{name}"] for name in ("least", "distance", "most")]
    assert told == [f"{each:.3f}" for each in (distances.min(), distances.mean(), distances.max())]
    assert (numbers["count"], numbers["draws"]) == ("40", "2"), "there are 40 test digits"
    assert [int(each) for each in numbers["real"].replace(" and", ",").split(",")] == [
        row for row, is_real in enumerate(results.real, 1) if is_real
    ]
    (panels,) = (each for each in outputs if isinstance(each, Panels))
    assert np.array_equal(np.stack([np.stack(row) for row in panels.rows]), results.rows)
    with pytest.raises(AuthorError, match=r"shown = 3, expected one of scales") as told:
        section.experiment(context(networks, folder), section.Parameters(shown=3.0))
    assert is_everywhere(told.value)


def test_rows_hold_the_first_of_each_digit() -> None:
    labels = torch.arange(10).repeat(section.ROWS + 1)
    images = torch.arange(len(labels))[:, None, None].expand(-1, 28, 28)
    rows = section.first_rows(images, labels)
    assert torch.equal(rows[:, :, 0, 0], torch.arange(10 * section.ROWS).reshape(section.ROWS, 10))
    with pytest.raises(AuthorError, match="20 digits, too few to show 3 of each") as told:
        section.first_rows(images[:20], labels[:20])
    assert is_everywhere(told.value)
