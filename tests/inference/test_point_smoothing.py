"""Which object is which from frame to frame, and that its points follow its filter."""

from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmext.functional.one_euro import advance, begin
from mmext.inference.point_smoothing import PointSmoother


def frame(boxes: list, points: Any, labels: list | None = None, ids: list | None = None) -> Any:
    sample = DetDataSample()
    count = len(boxes)
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels or [0] * count),
        scores=torch.ones(count),
        keypoints=torch.as_tensor(np.asarray(points, np.float32)),
    )
    if ids is not None:
        sample.pred_instances.instances_ids = torch.tensor(ids)
    return sample


LEFT, RIGHT = [0, 0, 20, 40], [60, 0, 100, 30]


def test_objects_are_followed_by_their_boxes_in_any_order() -> None:
    smoother = PointSmoother(25.0)
    one = frame([LEFT, RIGHT], [[[1.0, 1.0]], [[70.0, 7.0]]])
    two = frame([RIGHT, LEFT], [[[72.0, 8.0]], [[3.0, 2.0]]])
    smoother([one, two])
    expected = advance(
        begin(np.array([[[70.0, 7]], [[1, 1]]])),
        np.array([[[72.0, 8]], [[3, 2]]]),
        np.array([40.0, 40.0]),
        1 / 25,
    )
    np.testing.assert_allclose(two.pred_instances.keypoints, expected.points, rtol=1e-5)
    assert one.pred_instances.keypoints.tolist() == [[[1, 1]], [[70, 7]]]


def test_others_begin_anew() -> None:
    smoother = PointSmoother(25.0)
    smoother([frame([LEFT], [[[1.0, 1.0]]])])
    elsewhere = frame([RIGHT, LEFT], [[[70.0, 7.0]], [[9.0, 9.0]]], labels=[0, 1])
    smoother([elsewhere])
    assert elsewhere.pred_instances.keypoints.tolist() == [[[70, 7]], [[9, 9]]]
    smoother([frame([], np.zeros((0, 1, 2)))])
    again = frame([LEFT], [[[5.0, 5.0]]])
    smoother([again])
    assert again.pred_instances.keypoints.tolist() == [[[5, 5]]]


def test_track_ids_go_before_boxes() -> None:
    smoother = PointSmoother(25.0)
    smoother([frame([LEFT, RIGHT], [[[1.0, 1.0]], [[70.0, 7.0]]], ids=[4, 9])])
    swapped = frame([LEFT, RIGHT], [[[70.0, 7.0]], [[1.0, 1.0]]], ids=[9, 4])
    smoother([swapped])
    np.testing.assert_allclose(swapped.pred_instances.keypoints, [[[70, 7]], [[1, 1]]])


def test_what_has_no_points_passes() -> None:
    smoother = PointSmoother(25.0)
    empty = DetDataSample()
    assert smoother([empty]) == [empty]
    plain = frame([LEFT], [[[1.0, 1.0]]])
    del plain.pred_instances.keypoints
    assert smoother([plain]) == [plain]
    with pytest.raises(ValueError, match='fps'):
        PointSmoother(0.0)
