"""The ground truth that training steps are timed with."""

from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config

from mmext.benchmark.pictures import NUM_THINGS, SIZE_PX, find_pictures, picture_objects
from mmext.benchmark.training import Counts, annotate, class_counts, scaled
from mmext.errors import InputError

PANOPTIC: dict[str, Any] = dict(num_things_classes=3, num_stuff_classes=2, head=dict(num_classes=9))


@pytest.mark.parametrize(
    ('model', 'expected'),
    [
        (dict(head=dict(num_classes=80)), Counts(80, 0, 0)),
        (dict(heads=[dict(num_classes=80), dict(num_classes=7)]), Counts(7, 0, 0)),
        (PANOPTIC, Counts(3, 2, 0)),
        (dict(head=dict(num_classes=1, num_joints=17)), Counts(1, 0, 17)),
        (dict(head=dict(num_landmarks=0)), Counts(NUM_THINGS, 0, 0)),
        (dict(head=dict(num_classes=None)), Counts(NUM_THINGS, 0, 0)),
    ],
)
def test_what_a_model_is_to_find(model: dict[str, Any], expected: Counts) -> None:
    assert class_counts(Config(dict(model=model))) == expected


@pytest.mark.parametrize('number', range(2))
def test_every_picture_has_objects(number: int) -> None:
    objects = picture_objects(number)
    assert objects.masks.shape[1:] == SIZE_PX[::-1] == objects.stuff.shape
    assert len(objects.masks) == len(objects.labels) >= 1
    assert objects.masks.any(axis=(1, 2)).all() and objects.masks.sum(axis=0).max() == 1
    assert set(np.unique(objects.stuff)) <= {-1, 0, 1, 2, 3, 4}
    assert (objects.stuff[objects.masks.any(axis=0)] == -1).all()


@pytest.mark.parametrize('counts', [Counts(3, 2, 4), Counts(80, 0, 0)])
def test_ground_truth_in_the_frame_of_the_input(counts: Counts) -> None:
    whole = picture_objects(0)
    objects = scaled(whole, (240, 320), (256, 384))
    sample = DetDataSample()
    annotate(sample, objects, counts)
    instances = sample.gt_instances
    masks = torch.from_numpy(instances.masks.masks).bool()
    assert masks.shape[1:] == (256, 384)
    assert not masks[:, 240:].any() and not masks[:, :, 320:].any()
    shares = masks.float().mean(dim=(1, 2)) * (256 * 384) / (240 * 320)
    expected = torch.from_numpy(whole.masks.mean(axis=(1, 2))).float()
    torch.testing.assert_close(shares, expected, rtol=0.1, atol=1e-3)
    for mask, (x1, y1, x2, y2) in zip(masks, instances.bboxes.tolist(), strict=True):
        ys, xs = mask.nonzero().unbind(dim=1)
        assert (x1, y1, x2, y2) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert instances.labels.min() >= 0 and instances.labels.max() < counts.things

    semantic = sample.gt_sem_seg.sem_seg[0]
    for mask, label in zip(masks, instances.labels, strict=True):
        assert (semantic[mask] == label).all()
    outside = semantic[~masks.any(dim=0)].unique().tolist()
    assert set(outside) <= {*range(counts.things, counts.things + counts.stuff), 255}
    if counts.points:
        inside = instances.keypoints
        assert inside.shape == (len(instances), counts.points, 2)
        boxes = instances.bboxes[:, None]
        assert ((inside > boxes[..., :2]) & (inside < boxes[..., 2:])).all()


def test_no_pictures(tmp_path: Any) -> None:
    (tmp_path / 'note.txt').write_text('')
    with pytest.raises(InputError, match='no images in'):
        find_pictures(str(tmp_path), 3)
    for name in ('b.png', 'a.jpg'):
        (tmp_path / name).write_bytes(b'')
    assert [path.name for path in find_pictures(str(tmp_path), 3)] == ['a.jpg', 'b.png', 'a.jpg']
