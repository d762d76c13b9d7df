"""FID and KID: their properties, plain restatements, and features of a real backbone."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from mmext.errors import InputError, MissingFileError
from mmext.metrics.pictures.feature_distance import (
    FeatureSums,
    Sample,
    frechet_distance,
    kernel_distance,
)
from mmext.registry import METRICS, MODELS


def features(seed: int, count: int = 60, dimensions: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(rng.normal(size=dimensions), 1, (count, dimensions)) @ rng.normal(
        size=(dimensions, dimensions)
    )


def sums(values: np.ndarray) -> FeatureSums:
    total = FeatureSums(values.shape[1])
    total.add(values)
    return total


def fid(ours: np.ndarray, theirs: np.ndarray) -> float:
    return frechet_distance(sums(ours), sums(theirs))


@pytest.mark.parametrize('count', [60, 5])  # fewer pictures than features: no full rank
def test_frechet_distance_by_the_root_of_the_product(count: int) -> None:
    ours, theirs = features(0, count), features(1)
    spreads = [np.cov(each, rowvar=False) for each in (ours, theirs)]
    shared = np.trace(sqrtm(spreads[0] @ spreads[1]).real)
    apart = np.square(ours.mean(0) - theirs.mean(0)).sum()
    expected = apart + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * shared
    assert fid(ours, theirs) == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_of_what_is_known() -> None:
    x = features(0)
    assert fid(x, x) == pytest.approx(0, abs=1e-9)
    assert fid(x, x + np.arange(8)) == pytest.approx(np.square(np.arange(8)).sum())
    wider = x.mean(0) + 1.5 * (x - x.mean(0))
    assert fid(x, wider) == pytest.approx(0.25 * np.trace(np.cov(x, rowvar=False)))
    assert fid(x, features(1)) == pytest.approx(fid(features(1), x))


def test_neither_order_nor_shards_matter() -> None:
    x = features(0)
    shards = [sums(part) for part in np.array_split(x[::-1], 3)]
    for other in shards[1:]:
        shards[0].merge(other)
    whole = sums(x)
    assert shards[0].count == whole.count
    np.testing.assert_allclose(shards[0].gaussian()[1], whole.gaussian()[1])


def test_kernel_distance_by_a_double_loop() -> None:
    ours, theirs = features(0, 7), features(1, 7)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    within = sum(
        kernel(each[i], each[j]) / (7 * 6)
        for each in (ours, theirs)
        for i in range(7)
        for j in range(7)
        if i != j
    )
    between = sum(kernel(x, y) for x in ours for y in theirs) / 49
    mean, deviation = kernel_distance(ours, theirs)
    assert mean == pytest.approx(within - 2 * between)
    assert deviation == 0


def test_kernel_distance_of_halves_is_chance_alone() -> None:
    x = features(0, 400)
    mean, deviation = kernel_distance(x[::2], x[1::2], subsets=50, size=50)
    assert abs(mean) < 2 * deviation
    far, chance = kernel_distance(x[::2], x[1::2] + 3, subsets=50, size=50)
    assert far > 3 * chance
    assert kernel_distance(x[::2], x[1::2], 5, 50) == kernel_distance(x[::2], x[1::2], 5, 50)


@pytest.mark.parametrize('distance', [fid, kernel_distance])
def test_one_picture_is_no_set(distance: Any) -> None:
    with pytest.raises(InputError, match='needs two pictures'):
        distance(features(0), features(1, 1))


def test_a_sample_is_of_its_size_and_fair() -> None:
    taken = np.zeros(40)
    for seed in range(300):
        sample = Sample(10, seed)
        sample.add(np.arange(40)[:, None])
        assert len(sample.kept) == 10
        taken[np.concatenate(sample.kept)] += 1
    assert abs(taken - 75).max() < 5 * np.sqrt(75 * 0.75)


@pytest.fixture(scope='module')
def backbone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small backbone in the checkpoint of a detector."""
    file = tmp_path_factory.mktemp('weights') / 'mine.pth'
    config = dict(type='ResNet', depth=18, base_channels=4, out_indices=(0, 1), num_stages=2)
    config |= dict(strides=(1, 2), dilations=(1, 1))
    weights = MODELS.build(config | dict(_scope_='mmdet')).state_dict()
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in weights.items()}), file)
    start = dict(type='Pretrained', checkpoint=str(file), prefix='backbone.')
    return config | dict(type='mmdet.ResNet', init_cfg=start)


def picture(seed: int) -> torch.Tensor:
    noise = np.random.default_rng(seed).integers(0, 256, (3, 32 + 4 * (seed % 3), 40), np.uint8)
    return torch.from_numpy(noise // (1 + seed % 2))


def test_the_metric_of_samples_and_of_a_folder(backbone: dict[str, Any], tmp_path: Path) -> None:
    metric = METRICS.build(dict(type='mmext.FeatureDistanceMetric', backbone=backbone))
    samples = [dict(translated=picture(n), target=picture(n + 100)) for n in range(6)]
    for sample in samples:
        metric.process(None, [sample])
    assert len(metric.results) == 1  # of all pictures
    vectors = [
        np.concatenate([metric._features(sample[name]) for sample in samples])
        for name in ('translated', 'target')
    ]
    assert vectors[0].shape == (6, 8)
    found = metric.evaluate(6)
    assert found['pictures/FID(ResNet18@mine)'] == pytest.approx(fid(*vectors), rel=1e-6)
    expected = 1000 * kernel_distance(*vectors)[0]
    assert found['pictures/KID(ResNet18@mine)'] == pytest.approx(expected, rel=1e-5)

    for number, sample in enumerate(samples):
        real = sample['target'].numpy().transpose(1, 2, 0)
        cv2.imwrite(str(tmp_path / f'{number}.png'), real)
    other = METRICS.build(
        dict(type='mmext.FeatureDistanceMetric', backbone=backbone, reference=str(tmp_path))
    )
    for _ in range(2):  # nothing is left of the first evaluation
        other.process(None, [dict(translated=sample['translated']) for sample in samples])
        again = other.evaluate(6)
        assert again == {name: pytest.approx(value) for name, value in found.items()}


def test_shards_of_two_ranks(backbone: dict[str, Any]) -> None:
    def measured(numbers: Any) -> Any:
        metric = METRICS.build(dict(type='mmext.FeatureDistanceMetric', backbone=backbone))
        metric.process(
            None, [dict(translated=picture(n), target=picture(n + 100)) for n in numbers]
        )
        return metric

    whole, odd, even = measured(range(6)), measured(range(1, 6, 2)), measured(range(0, 6, 2))
    expected = whole.compute_metrics(whole.results)
    found = whole.compute_metrics([*odd.results, *even.results])
    assert found == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}


def test_what_is_refused(backbone: dict[str, Any], tmp_path: Path) -> None:
    def build(config: dict[str, Any], **more: Any) -> Any:
        return METRICS.build(dict(type='mmext.FeatureDistanceMetric', backbone=config, **more))

    with pytest.raises(InputError, match='random features tell nothing'):
        build(backbone | dict(init_cfg=None))
    lost = backbone['init_cfg'] | dict(checkpoint='nowhere.pth')
    with pytest.raises(MissingFileError, match=r'no weights at .*nowhere\.pth'):
        build(backbone | dict(init_cfg=lost))
    with pytest.raises(InputError, match=r'holds another backbone: .* the first is'):
        build(backbone | dict(base_channels=8))
    with pytest.raises(InputError, match='no weights that begin with'):
        build(backbone | dict(init_cfg=backbone['init_cfg'] | dict(prefix='neck.')))
    with pytest.raises(InputError, match='no picture in it'):
        build(backbone, reference=str(tmp_path))
    with pytest.raises(InputError, match="no picture 'target'"):
        build(backbone).process(None, [dict(translated=picture(0))])
