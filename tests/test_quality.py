"""The measures of quality against closed forms and planted sets; the judges on tiny data."""

from pathlib import Path

import pytest
import torch
from test_digits import folder, run_in
from torch import Tensor

from generators.digits import classifier
from generators.digits.quality import (
    Gaussian,
    frechet_distance,
    kernel_alone,
    kernel_distance,
    moments,
    nearest,
    precision,
    recall,
    standard,
)

__all__ = ["folder"]


def normal(count: int, size: int, seed: int) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def covariance(size: int, seed: int) -> Tensor:
    factor = normal(size, size, seed).double()
    return factor @ factor.T + 0.1 * torch.eye(size)


def newton_schulz_root(a: Tensor) -> Tensor:
    """The square root of a matrix whose eigenvalues are positive, by iteration alone."""
    scale = a.norm()
    y, z, one = a / scale, torch.eye(len(a)).double(), torch.eye(len(a)).double()
    for _ in range(60):
        step = (3 * one - z @ y) / 2
        y, z = y @ step, step @ z
    root: Tensor = y * scale.sqrt()
    return root


def test_the_frechet_distance_of_axis_aligned_gaussians_is_that_of_their_spreads() -> None:
    a = Gaussian(torch.tensor([1.0, 2.0]).double(), torch.tensor([4.0, 9.0]).double().diag())
    b = Gaussian(torch.tensor([1.0, 5.0]).double(), torch.tensor([1.0, 25.0]).double().diag())
    assert frechet_distance(a, b) == pytest.approx(3**2 + (2 - 1) ** 2 + (3 - 5) ** 2)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12)


def test_the_frechet_distance_takes_the_root_of_the_product() -> None:
    """The oracle: (AB)^½ itself, by Newton and Schulz, where A and B do not commute."""
    a = Gaussian(normal(1, 6, 1)[0].double(), covariance(6, 2))
    b = Gaussian(normal(1, 6, 3)[0].double(), covariance(6, 4))
    root = newton_schulz_root(a.covariance @ b.covariance)
    assert torch.allclose(root @ root, a.covariance @ b.covariance, rtol=1e-8)
    shift = (a.mean - b.mean).square().sum()
    expected = shift + (a.covariance + b.covariance - 2 * root).trace()
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(expected.item(), rel=1e-8)


def test_moments_are_those_of_the_distribution() -> None:
    wanted = covariance(3, 5)
    found = moments(normal(200_000, 3, 6).double() @ torch.linalg.cholesky(wanted).T + 2)
    assert torch.allclose(found.mean, torch.full((3,), 2.0).double(), atol=0.03)
    assert torch.allclose(found.covariance, wanted, rtol=0.03, atol=0.03)


def test_the_kernel_distance_of_one_distribution_is_nothing_on_average() -> None:
    found = [kernel_distance(normal(40, 4, seed), normal(60, 4, seed + 99)) for seed in range(60)]
    values = torch.tensor(found)
    assert values.min() < 0, "an unbiased estimate of nothing falls on both sides"
    assert abs(values.mean().item()) < 3 * (values.std() / len(values) ** 0.5).item()


def test_the_kernel_distance_is_the_sum_over_pairs() -> None:
    x, y = normal(5, 3, 1), normal(4, 3, 2)

    def kernel(a: Tensor, b: Tensor) -> float:
        return ((a @ b).item() / 3 + 1) ** 3

    of_x = sum(kernel(x[i], x[j]) for i in range(5) for j in range(5) if i != j) / 20
    of_y = sum(kernel(y[i], y[j]) for i in range(4) for j in range(4) if i != j) / 12
    both = sum(kernel(a, b) for a in x for b in y) / 20
    assert kernel_distance(x, y) == pytest.approx(of_x + of_y - 2 * both, abs=1e-5)
    assert kernel_distance(x, y, kernel_alone(y)) == kernel_distance(x, y)


def test_a_shift_that_the_mean_shows_is_seen_by_the_kernel() -> None:
    x, y = normal(400, 4, 1), normal(400, 4, 2)
    assert kernel_distance(x + 1, y) > 20 * abs(kernel_distance(x, y))


def test_features_on_their_own_scale_have_spread_one() -> None:
    x = normal(500, 3, 1) * torch.tensor([5.0, 0.1, 0.0]) + 7
    scaled = standard(x)(x)
    assert torch.allclose(scaled.mean(dim=0), torch.zeros(3), atol=1e-3)
    assert scaled.std(dim=0)[:2] == pytest.approx(torch.ones(2), rel=1e-4)
    assert scaled[:, 2].abs().max() < 1


def test_precision_and_recall_count_the_modes_that_were_planted() -> None:
    corners = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [100.0, 100.0]])
    data = torch.cat([corner + normal(50, 2, seed) for seed, corner in enumerate(corners)])
    # Half the modes are missing, and one sample in five lies where no data are.
    good = torch.cat([corner + normal(40, 2, 9 + seed) for seed, corner in enumerate(corners[:2])])
    samples = torch.cat((good, 5000 + 10 * normal(20, 2, 20)))
    assert precision(samples, data) == pytest.approx(0.8, abs=0.06)
    assert recall(samples, data) == pytest.approx(0.5, abs=0.06)
    assert precision(data, data) == recall(data, data) == 1
    one_point = corners[:1] + 1e-3 * normal(50, 2, 30)
    assert precision(one_point, data) == 1
    assert recall(one_point, data) < 0.02


def test_the_nearest_are_found_in_order() -> None:
    x, y = torch.tensor([[0.0], [10.0]]), torch.tensor([[9.0], [1.0], [-3.0], [10.0]])
    found = nearest(x, y, 2)
    assert found.indices.tolist() == [[1, 2], [3, 0]]
    assert found.distances.tolist() == [[1, 3], [0, 1]]


def test_a_shifted_digit_keeps_its_ink_and_moves_by_no_more_than_asked() -> None:
    x = torch.zeros(300, 1, 28, 28)
    x[:, 0, 14, 14] = 1
    moved = classifier.shifted(x, 2, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape
    places = moved.flatten(1).argmax(dim=1)
    rows, columns = places // 28, places % 28
    assert set(rows.tolist()) == set(columns.tolist()) == {12, 13, 14, 15, 16}
    assert moved.sum() == 300
    assert torch.equal(classifier.shifted(x, 0, torch.Generator()), x)


def test_a_judge_learns_and_judges_alike_in_any_batch(folder: Path, tmp_path: Path) -> None:
    run = run_in(tmp_path / "run", folder)
    classifier.train(run, classifier.Recipe(width=4, epochs=30, batch=20, rate=1e-2, shift=0))
    network = classifier.classifier(tmp_path / "run" / "epoch-0030.safetensors")
    images = classifier.load(folder, "train").images
    found = classifier.judge(network, images)
    assert found.features.shape == (40, 16)
    labels = classifier.load(folder, "train").labels
    assert (found.answers == labels).double().mean() > 0.3, "by chance it would be a tenth"
    assert torch.allclose(classifier.judge(network, images, 7).features, found.features, atol=1e-5)


def test_a_denoiser_is_no_judge(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"out.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other.safetensors holds another network"):
        classifier.classifier(tmp_path / "other.safetensors")
