"""Stage 1 that learns to read, then small pictures, then larger ones."""

from pathlib import Path

import pytest
import torch
from conftest import needs_font
from oracles import images, schedule
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from generators.mini_if import train as training
from generators.mini_if.captions import answers, learn_captions, questions
from generators.mini_if.concepts import CORE
from generators.mini_if.examples import Example, Examples
from generators.mini_if.growth import graft
from generators.mini_if.loss import HybridLoss
from generators.mini_if.painter import Painter
from generators.mini_if.recipe import RECIPES, make_encoder, make_unet
from generators.mini_if.samples import sampler_of
from generators.mini_if.scenes import compose
from generators.mini_if.tokens import make_tokenizer
from generators.mini_if.training import STATE, Limits, Training

pytestmark = pytest.mark.usefixtures("alone")
RECIPE = RECIPES["tiny"][0]
NOISES = schedule("learned_range")
TOKENIZER = make_tokenizer(compose(1, number, CORE).caption for number in range(2000))


def painter(level: int) -> Painter:
    torch.manual_seed(0)
    encoder = make_encoder(len(TOKENIZER)).requires_grad_(False)
    return Painter(encoder, make_unet(RECIPE, 1), level)


def example(size: int) -> Example:
    x = images(2, size, seed=1)
    t, tokens = torch.tensor([30, 700]), torch.arange(2 * 77).reshape(2, 77) % 9
    return Example(x, x, t, tokens, x[:, :0], torch.zeros(2))


class Returned(nn.Module):
    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> Tensor:
        return self.value


@torch.no_grad()
def test_the_inner_levels_alone_do_what_they_do_in_the_whole() -> None:
    whole = painter(0)
    seen: dict[str, Tensor] = {}
    last = whole.unet.up_blocks[-2]
    whole.unet.down_blocks[1].register_forward_pre_hook(
        lambda _, args, kwargs: seen.update(entered=(*args, *kwargs.values())[0]), with_kwargs=True
    )
    last.upsamplers[0].register_forward_pre_hook(lambda _, args: seen.update(left=args[0]))
    given = example(64)
    whole(given.x, given)
    inner = Painter(whole.encoder, whole.unet, 1)
    inner.stem, inner.head = Returned(seen["entered"]), nn.Identity()  # type: ignore
    assert torch.allclose(inner(avg_pool2d(given.x, 2), given), seen["left"], atol=1e-5)
    assert last.upsamplers is not None


def test_the_levels_left_out_do_not_learn() -> None:
    small = painter(1)
    small(example(32).x, example(32)).square().mean().backward()
    for name, parameter in small.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    assert not small.unet.conv_in.weight.requires_grad
    whole = Painter(small.encoder, small.unet)
    assert whole.unet.conv_in.weight.requires_grad


@needs_font
def test_small_pictures_are_the_means_of_large_ones_and_so_is_their_noise() -> None:
    made = [Examples(3, 1, TOKENIZER, 0.1, NOISES, level) for level in (0, 2)]
    large, small = (each[5] for each in made)
    assert torch.allclose(avg_pool2d(large.x, 4), small.x, atol=1e-6)
    noise = torch.cat([made[1][number].noise.flatten() for number in range(8)])
    assert noise.std().item() == pytest.approx(1 / 4, rel=0.05)
    assert avg_pool2d(large.noise, 4).std().item() == pytest.approx(1 / 4, rel=0.15)
    loss, variance = HybridLoss(NOISES)(painter(1), example(32))
    assert loss > 0
    assert variance == 0, "only whole pictures teach a spread"


@needs_font
def test_a_new_level_tells_the_inner_ones_what_they_were_told() -> None:
    smaller = painter(1)
    before = [parameter.clone() for parameter in smaller.unet.down_blocks[1].parameters()]
    larger = Painter(smaller.encoder, smaller.unet, 0)
    seen = Examples(3, 1, TOKENIZER, 0.1, NOISES)
    first = graft(larger, smaller, seen, 2)
    assert graft(larger, smaller, seen, 30) < first / 2
    after = smaller.unet.down_blocks[1].parameters()
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_the_encoder_learns_what_captions_say_and_then_rests() -> None:
    torch.manual_seed(1)
    encoder, unet = make_encoder(len(TOKENIZER)), make_unet(RECIPE, 1)
    right = learn_captions(encoder, unet, TOKENIZER, 80, 5, ("dog", "skull", "coast", "robot"))
    assert right > 0.5
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_there_is_an_answer_for_every_scene() -> None:
    for number in range(300):
        scene = compose(7, number, CORE)
        asked = questions(CORE)
        found = [each[index] for each, index in zip(asked, answers(scene, asked), strict=True)]
        assert found[0] == scene.concepts[0]
        assert (found[1] == "nothing") == (len(scene.concepts) == 1) == (found[4] == "alone")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CAPTION_BATCHES", 2)
    monkeypatch.setattr(training, "GRAFT_BATCHES", 2)


@needs_font
@pytest.mark.usefixtures("short")
def test_a_training_grows_and_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Training, "sample", lambda *_: None)
    whole = training.train("stage_1", "tiny", Limits(16), tmp_path / "whole")
    assert (whole.pictures, whole.painter.level) == (16, 0)
    folder = tmp_path / "stopped"
    stopped = training.train("stage_1", "tiny", Limits(16, minutes=0), folder)
    assert (stopped.pictures, stopped.painter.level) == (4, 1)
    assert not (folder / "stage_1-tiny" / STATE).exists()
    resumed = training.train("stage_1", "tiny", Limits(16), folder)
    assert (resumed.pictures, resumed.painter.level) == (16, 0)
    ours, theirs = whole.painter.state_dict(), resumed.painter.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_rate_falls_at_the_whole_size_alone(tmp_path: Path) -> None:
    found = training.phases(RECIPE, 1, tmp_path, Limits(pictures=100, decay_from=4))
    assert [(level, each.pictures, each.share(6) < 1) for level, each in found] == [
        (1, 8, False),
        (0, 100, True),
    ]


@pytest.mark.parametrize("level", [0, 1])
def test_samples_are_drawn_at_any_size(level: int) -> None:
    sampler = sampler_of(1, TOKENIZER, NOISES)
    images = sampler.images(painter(level).eval(), [0, 2], torch.device("cpu"))
    assert images.shape == (2, 3, 64 >> level, 64 >> level)
    assert images.isfinite().all()
