"""Two views of an image, averaged: what the mirror image has mirrored, the image has."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_densepose import CROPS, pictures, sample, small_detector

from mmext.demo.figure_mesh import symmetry_tables
from mmext.densepose.mirror_rcnn import MirrorRCNN
from mmext.errors import InputError
from mmext.formats.surface_files import MIRRORED_PARTS, write_symmetry_tables

METAS = [dict(batch_input_shape=(96, 96), scale_factor=(1.0, 1.0))]


@pytest.fixture(scope='module')
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('tables') / 'UV_symmetry_transforms.mat'
    write_symmetry_tables(path, *symmetry_tables())
    return path


def features(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(1, 8, 24 // 2**i, 24 // 2**i, generator=generator) for i in range(5)]


@pytest.mark.parametrize('options', [{}, dict(num_coarse=15, mask_confidence=True)])
def test_both_views_say_the_same(tables: Path, options: dict[str, Any]) -> None:
    task = small_detector(mirror=str(tables), **options).roi_head.tasks['densepose'].eval()
    with torch.no_grad():  # coordinates of a trained network
        for name in ('u', 'v'):
            task.predictor.layers[name].bias.fill_(0.5)
            task.predictor.layers[name].weight.mul_(0.02)
        task.predictor.layers['coarse'].bias[1:] += 1.0
    boxes = torch.tensor([[10.0, 12, 70, 80]])
    turned = torch.tensor([[26.0, 12, 86, 80]])
    one, other = features(0), features(1)
    with torch.no_grad():
        (image,) = task.predict(one, [boxes], METAS, mirrored=other)
        (mirrored,) = task.predict(other, [turned], METAS, mirrored=one)
        (plain,) = task.predict(one, [boxes], METAS)
    expected, found = image['surface'][0], mirrored['surface'][0][:, :, ::-1]
    names = np.array(MIRRORED_PARTS)[found[0]]
    same = names == expected[0]
    assert same.mean() > 0.98  # ties and edges but for rounding
    body = same & (names > 0)
    assert body.mean() > 0.05
    u = np.abs(255 - found[1][body].astype(int) - expected[1][body])
    v = np.abs(found[2][body].astype(int) - expected[2][body])
    assert np.median(u) <= 2
    assert np.median(v) <= 2
    assert (plain['surface'][0] != expected).any()


def test_a_detector_with_both_views(tables: Path) -> None:
    model = small_detector(mirror=str(tables)).eval()
    plain_class = type(model)
    samples = [sample(2, factor=2.0), sample(1)]
    with torch.no_grad():
        plain = model.predict(pictures(2), copy.deepcopy(samples))
        model.__class__ = MirrorRCNN
        both = model.predict(pictures(2), copy.deepcopy(samples))
    assert model.roi_head.mirrored is None
    for one, other in zip(plain, both, strict=True):
        torch.testing.assert_close(one.pred_instances.bboxes, other.pred_instances.bboxes)
        assert [s.shape for s in one.pred_instances.surface] == [
            s.shape for s in other.pred_instances.surface
        ]
    assert issubclass(MirrorRCNN, plain_class.__mro__[1])
    model = small_detector().eval()
    model.__class__ = MirrorRCNN
    with pytest.raises(InputError, match='no task of'), torch.no_grad():
        model.predict(pictures(1), [sample(1)])


def test_crops_of_both_views(tables: Path) -> None:
    model = small_detector(**copy.deepcopy(CROPS), mirror=str(tables)).eval()
    task, seen = model.roi_head.tasks['densepose'], []
    predict = task.predict

    def watched(features: Any, *args: Any, **views: Any) -> Any:
        seen.append((features[0], views['mirrored'][0]))
        return predict(features, *args, **views)

    task.predict = watched
    model.__class__ = MirrorRCNN
    with torch.no_grad():
        found = model.predict(pictures(2), [sample(2), sample(1)])
    ((images, mirrored),) = seen
    assert torch.equal(images, pictures(2))
    assert torch.equal(mirrored, images.flip(-1))
    assert all(len(each.pred_instances.surface) for each in found)
