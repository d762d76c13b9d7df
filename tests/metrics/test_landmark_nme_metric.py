"""The evaluators of landmarks and attributes on data samples."""

from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData

from mmext.metrics.faces.attribute_accuracy import attribute_values, confusion
from mmext.registry import METRICS

BOXES = torch.tensor([[0.0, 0, 40, 40], [50, 50, 150, 150], [200, 0, 210, 10]])
ATTRIBUTES = (
    {'name': 'glasses', 'values': ('no', 'yes'), 'kind': 'binary'},
    {'name': 'age', 'values': ('child', 'adult', 'old'), 'kind': 'ordinal'},
)


def sample(shift_px: float = 0.0, found: int = 3, **changes: Any) -> dict:
    """Three faces; the predictions of the first ``found`` are right but for a shift of points."""
    points = torch.rand(3, 5, 2, generator=torch.manual_seed(0)) * 40 + BOXES[:, None, :2]
    visible = torch.full((3, 5), 2.0)
    visible[0, 4], visible[0, 3] = 0, 1
    data = DetDataSample(metainfo=dict(img_path='a.jpg', img_id=0))
    truth = dict(
        bboxes=BOXES, keypoints=points, keypoints_visible=visible,
        mesh=torch.cat([points, points[..., :1]], dim=2),
        mesh_valid=torch.tensor([True, True, False]),
        attributes=torch.tensor([[0, 2], [1, -1], [1, 0]]),
    )  # fmt: skip
    predicted = dict(
        bboxes=BOXES + 1, scores=torch.tensor([0.9, 0.8, 0.7]),
        keypoints=points + torch.tensor([shift_px, 0.0]),
        mesh=truth['mesh'] + torch.tensor([shift_px, 0.0, 99.0]),
        attributes=torch.tensor([[0, 1], [1, 1], [0, 0]]),
    )  # fmt: skip
    predicted['keypoints'][0, 4] += 500  # not annotated
    data.gt_instances = InstanceData(**truth)
    data.pred_instances = InstanceData(**predicted)[:found]
    result = data.to_dict()
    for key, value in changes.items():
        side, field = key.split('__')
        result[side][field] = value
    return result


def evaluate(kind: str, samples: list[dict], meta: Any = None, **options: Any) -> dict[str, float]:
    metric = METRICS.build(dict(type=kind, **options))
    metric.dataset_meta = meta
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_error_by_hand() -> None:
    values = evaluate('LandmarkNMEMetric', [sample(shift_px=2)])
    # a shift of 2 px in boxes of 40, 100 and 10 px
    assert values['landmarks/NME'] == pytest.approx(100 * np.mean([2 / 40, 2 / 100, 2 / 10]))
    assert values['landmarks/failure_rate'] == pytest.approx(100 / 3)
    assert values['landmarks/found'] == 100
    large = evaluate('LandmarkNMEMetric', [sample(shift_px=2)], min_height_px=20)
    assert large['landmarks/NME'] == pytest.approx(3.5)


def test_faces_that_are_not_found() -> None:
    values = evaluate('LandmarkNMEMetric', [sample(found=2)])
    assert values['landmarks/NME'] == pytest.approx(0, abs=1e-4)
    assert values['landmarks/found'] == pytest.approx(200 / 3)
    assert values['landmarks/failure_rate_all'] == pytest.approx(100 / 3)
    assert evaluate('LandmarkNMEMetric', [sample(found=0)])['landmarks/found'] == 0


def test_visible_only_leaves_occluded_points_out() -> None:
    data = sample()
    data['pred_instances']['keypoints'][0, 3] += 40
    assert evaluate('LandmarkNMEMetric', [data])['landmarks/NME'] > 1
    values = evaluate('LandmarkNMEMetric', [data], visible_only=True)
    assert values['landmarks/NME'] == pytest.approx(0, abs=1e-4)


def test_meshes_compare_in_the_picture_where_they_are_valid() -> None:
    data = sample(shift_px=2)
    data['pred_instances']['mesh'][2] += 1000  # its mesh is not valid
    values = evaluate('LandmarkNMEMetric', [data], field='mesh', prefix='mesh')
    assert values['mesh/NME'] == pytest.approx(100 * np.mean([2 / 40, 2 / 100]))


def test_repeated_images_count_once() -> None:
    once = evaluate('LandmarkNMEMetric', [sample(shift_px=1)])
    assert evaluate('LandmarkNMEMetric', [sample(shift_px=1)] * 3) == once


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match='normalizer: expected one of'):
        METRICS.build(dict(type='LandmarkNMEMetric', normalizer='nose'))
    with pytest.raises(ValueError, match='threshold: expected more than 0'):
        METRICS.build(dict(type='LandmarkNMEMetric', threshold=0))
    data = sample()
    del data['pred_instances']['keypoints']
    with pytest.raises(ValueError, match=r'a\.jpg: no keypoints in pred_instances'):
        evaluate('LandmarkNMEMetric', [data])
    data = sample()
    data['pred_instances']['keypoints'] = torch.zeros(3, 6, 2)
    with pytest.raises(ValueError, match='5 points annotated, 6 predicted'):
        evaluate('LandmarkNMEMetric', [data])


def test_points_that_all_lie_in_one_place_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    alike = sample()
    middles = (BOXES[:, :2] + BOXES[:, 2:]) / 2
    noise = 1e-3 * torch.rand(3, 5, 2, generator=torch.manual_seed(1))
    alike['pred_instances']['keypoints'] = middles[:, None] + noise
    MMLogger.get_instance('places', logger_name='places').addHandler(caplog.handler)
    metric = METRICS.build(dict(type='LandmarkNMEMetric'))
    for samples, expected in (([alike], True), ([sample()], False), ([alike, sample()], False)):
        caplog.clear()
        metric.process(None, samples)
        metric.evaluate(len(samples))
        said = [r.message for r in caplog.records if r.levelname == 'WARNING']
        assert any('of 3 of 3 objects all points' in text for text in said) == expected


def test_attributes_by_hand() -> None:
    values = evaluate('FaceAttributeMetric', [sample()], {'attributes': ATTRIBUTES})
    assert values['attributes/accuracy_glasses'] == pytest.approx(200 / 3)
    assert values['attributes/balanced_glasses'] == pytest.approx((100 + 50) / 2)
    assert values['attributes/accuracy_age'] == 50  # one of the three is unknown
    assert values['attributes/error_age'] == 0.5
    assert values['attributes/accuracy'] == pytest.approx((200 / 3 + 50) / 2)
    fewer = evaluate('FaceAttributeMetric', [sample(found=1)], {'attributes': ATTRIBUTES})
    assert fewer['attributes/accuracy_glasses'] == 100
    nothing = evaluate('FaceAttributeMetric', [sample(found=0)], {'attributes': ATTRIBUTES})
    assert nothing == {}


@pytest.mark.parametrize('seed', range(5))
def test_confusion_equals_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(-1, 4, 30), rng.integers(0, 4, 30)
    expected = np.zeros((4, 4), int)
    for t, p in zip(truth, predicted, strict=True):
        if t >= 0:
            expected[t, p] += 1
    np.testing.assert_array_equal(confusion(predicted, truth, 4), expected)
    values = attribute_values([{'name': 'a', 'values': 'wxyz', 'kind': 'ordinal'}], [expected])
    right = [p == t for t, p in zip(truth, predicted, strict=True) if t >= 0]
    steps = [abs(p - t) for t, p in zip(truth, predicted, strict=True) if t >= 0]
    assert values['accuracy_a'] == pytest.approx(100 * np.mean(right))
    assert values['error_a'] == pytest.approx(np.mean(steps))


def test_bad_attributes_are_named() -> None:
    with pytest.raises(ValueError, match='metainfo states no attributes'):
        evaluate('FaceAttributeMetric', [sample()], {})
    wrong = sample(pred_instances__attributes=torch.zeros(3, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r'a\.jpg: expected 2 attributes of each face, got \(1,\)'):
        evaluate('FaceAttributeMetric', [wrong], {'attributes': ATTRIBUTES})
    with pytest.raises(ValueError, match=r'expected values 0 to 1, got 0\.\.2'):
        confusion(np.array([0]), np.array([2]), 2)


def test_predictions_that_are_not_finite_are_named() -> None:
    data = sample()
    data['pred_instances']['keypoints'][1, 0, 0] = float('nan')
    with pytest.raises(ValueError, match=r'a\.jpg: keypoints: expected finite predictions'):
        evaluate('LandmarkNMEMetric', [data])
