"""Pictures of every kind that an author may have: taken as they look, or refused in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from generators.diffusion.pictures import from_bytes, read_mask, read_picture, to_bytes
from generators.errors import AuthorError


def saved(folder: Path, image: Image.Image, name: str = "picture.png", **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


def test_bytes_and_images_are_each_other() -> None:
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    assert np.array_equal(to_bytes(from_bytes(images)), images)
    assert from_bytes(images).shape == (2, 3, 4, 4)
    ends = torch.tensor([-3.0, -1.0, 1.0, 3.0]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    assert to_bytes(ends)[0, 0, :, 0].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(
    ("mode", "colour", "name"),
    [
        ("RGB", (255, 0, 0), "picture.png"),
        ("RGBA", (255, 0, 0, 255), "picture.png"),
        ("CMYK", (0, 255, 255, 0), "picture.tif"),
        ("P", None, "picture.gif"),
    ],
)
def test_a_red_picture_is_red_in_every_mode(
    mode: str, colour: tuple[int, ...] | None, name: str, tmp_path: Path
) -> None:
    image = Image.new("RGB", (8, 8), "red").convert("P") if colour is None else None
    path = saved(tmp_path, image or Image.new(mode, (8, 8), colour), name)
    found = read_picture(path, 4)
    assert found.shape == (1, 3, 4, 4)
    assert torch.allclose(found[0, :, 1, 1], torch.tensor([1.0, -1.0, -1.0]), atol=0.02)


def test_sixteen_bits_are_scaled_and_transparency_is_white(tmp_path: Path) -> None:
    grey = Image.fromarray(np.full((8, 8), 32768, np.uint16))
    assert read_picture(saved(tmp_path, grey), 4).mean().item() == pytest.approx(0, abs=0.01)
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert read_picture(saved(tmp_path, clear), 4).min().item() == 1


def test_what_is_not_square_is_cropped_to_its_middle_or_padded(tmp_path: Path) -> None:
    image = Image.new("RGB", (24, 8), "black")
    image.paste("red", (0, 0, 8, 8))
    path = saved(tmp_path, image)
    assert read_picture(path, 8).max().item() == -1, "the red left third is cut off"
    padded = read_picture(path, 24, "pad")
    assert padded[0, :, 0].min().item() == 1, "white above"
    assert padded[0, 0, 12, 2].item() == 1, "red to the left"
    assert padded[0, 1, 12, 2].item() == -1


def test_a_photograph_taken_upright_stays_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8), "black")
    image.paste("white", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3
    found = read_picture(saved(tmp_path, image, exif=exif), 8)
    assert found[0, 0, 0, 0].item() == -1
    assert found[0, 0, 7, 0].item() == 1, "turned by 180°, as the camera says"


def animated(folder: Path) -> Path:
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (10, 100, 200)]
    return saved(folder, frames[0], "moves.gif", save_all=True, append_images=frames[1:])


def cut_short(folder: Path) -> Path:
    path = saved(folder, Image.effect_noise((64, 64), 50))
    path.write_bytes(path.read_bytes()[:900])
    return path


def of_words(folder: Path) -> Path:
    (folder / "words.png").write_text("no picture")
    return folder / "words.png"


def of_32_bits(folder: Path) -> Path:
    return saved(folder, Image.new("F", (8, 8)), "deep.tif")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nothing.png", "nothing.png: No such file or directory"),
        (lambda folder: folder, "Is a directory"),
        (of_words, "words.png: not a picture that Pillow reads"),
        (cut_short, r"picture.png: damaged \("),
        (animated, "moves.gif: an animation of 3 frames, expected one picture"),
        (of_32_bits, "deep.tif: 32 bits a channel, expected 8 or 16"),
    ],
)
def test_what_is_no_picture_is_refused(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    path = make(tmp_path)
    with pytest.raises(AuthorError, match=message) as error:
        read_picture(path, 8)
    assert "\n" not in str(error.value)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    for height in (6_000, 10_000, 20_000):
        path = saved(tmp_path, Image.new("1", (10_000, height)))
        assert path.stat().st_size < 100_000
        with pytest.raises(AuthorError, match=r"picture.png: .* pixels, expected at most 50 mill"):
            read_picture(path, 8)


def test_a_mask_is_one_where_it_is_light(tmp_path: Path) -> None:
    image = Image.new("L", (16, 16), 0)
    image.paste(200, (0, 0, 8, 16))
    found = read_mask(saved(tmp_path, image), 8)
    assert found.shape == (1, 1, 8, 8)
    assert found[0, 0].sum(dim=0).tolist() == [8.0] * 4 + [0.0] * 4
    with pytest.raises(AuthorError, match="nothing to be made anew"):
        read_mask(saved(tmp_path, Image.new("L", (16, 16), 90)), 8)


def test_a_mask_of_other_proportions_than_its_picture_is_refused(tmp_path: Path) -> None:
    picture = saved(tmp_path, Image.new("RGB", (30, 20)))
    fitting = saved(tmp_path, Image.new("L", (15, 10), 255), "fitting.png")
    assert read_mask(fitting, 8, picture).shape == (1, 1, 8, 8)
    other = saved(tmp_path, Image.new("L", (20, 20), 255), "other.png")
    with pytest.raises(
        AuthorError, match=r"20 × 20 pixels, expected the proportions of picture.png, 30 × 20"
    ):
        read_mask(other, 8, picture)
