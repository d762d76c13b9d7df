"""The evaluator of WIDER FACE on data samples: settings, groups, files, ranks, bad input."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

from mmext.formats.wider_face_files import ATTRIBUTES
from mmext.formats.wider_face_ground_truth import SETTINGS, ImageTruth, write_ground_truth
from mmext.metrics.faces.wider_face_ap import average_precision, match_image, tabulate
from mmext.registry import METRICS

FACES = {
    '0--Parade/0_Parade_jpg': np.array([[10.0, 10, 20, 20], [60, 60, 40, 60], [5, 90, 8, 8]]),
    '1--Meeting/1_Meeting_a.b': np.array([[30.0, 40, 50, 60]]),
    '1--Meeting/1_Meeting_none': np.zeros((0, 4)),
}
COUNTED = {
    '0--Parade/0_Parade_jpg': {'easy': [1], 'medium': [0, 1], 'hard': [0, 1, 2]},
    '1--Meeting/1_Meeting_a.b': {'easy': [0], 'medium': [0], 'hard': [0]},
    '1--Meeting/1_Meeting_none': {'easy': [], 'medium': [], 'hard': []},
}
BLUR = {'0--Parade/0_Parade_jpg': [1, 0, 2], '1--Meeting/1_Meeting_a.b': [0]}


def truths() -> list[ImageTruth]:
    found = []
    for name, boxes in FACES.items():
        counted = {s: np.isin(np.arange(len(boxes)), COUNTED[name][s]) for s in SETTINGS}
        attributes = np.zeros((len(boxes), len(ATTRIBUTES)), int)
        attributes[:, 0] = BLUR.get(name, [])
        found.append(ImageTruth(name, boxes, counted, attributes))
    return found


def predictions(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    found = {}
    for name, faces in FACES.items():
        near = np.concatenate([faces, faces]) + rng.normal(0, 1.5, (2 * len(faces), 4))
        boxes = np.concatenate([near, rng.uniform(0, 100, (2, 4)), [[200, 200, 9, 9]]])
        found[name] = boxes.astype(np.float32), rng.random(len(boxes)).astype(np.float32)
    return found


def sample(name: str, boxes_xywh: np.ndarray, scores: np.ndarray, **truth: Any) -> dict:
    corners = torch.from_numpy(boxes_xywh.astype(np.float32))
    corners[:, 2:] += corners[:, :2]
    data = DetDataSample(metainfo=dict(img_path=f'/x/{name}.jpg', img_id=f'{name}.jpg'))
    data.pred_instances = InstanceData(bboxes=corners, scores=torch.from_numpy(scores))
    for field, instances in truth.items():
        setattr(data, field, instances)
    return data.to_dict()


def evaluate(metric: Any, samples: list[dict], size: int = 3) -> dict[str, float]:
    metric.process(None, samples)
    return metric.evaluate(size)


def samples(seed: int = 0) -> list[dict]:
    return [sample(name, *found) for name, found in predictions(seed).items()]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    write_ground_truth(tmp_path, truths())
    return str(tmp_path)


def build(**options: Any) -> Any:
    return METRICS.build(dict(type='WiderFaceMetric', **options))


@pytest.mark.parametrize('seed', range(3))
def test_official_settings(seed: int, folder: str) -> None:
    values = evaluate(build(ground_truth=folder), samples(seed))
    # float32 corners are what the metric is given
    matches = []
    for name, (boxes, scores) in predictions(seed).items():
        corners = boxes.copy()
        corners[:, 2:] += corners[:, :2]
        exact = corners.astype(np.float64)
        exact[:, 2:] -= exact[:, :2]
        matches.append(match_image(exact, scores.astype(np.float64), FACES[name]))
    table = tabulate(matches)
    for setting in SETTINGS:
        counted = np.concatenate([truth.counted[setting] for truth in truths()])
        expected = 100 * average_precision(table, counted)
        assert values[f'wider_face/AP_{setting}'] == expected
        assert 0 <= values[f'wider_face/mAP_{setting}'] <= expected


def test_perfect_predictions_are_100_in_every_group(folder: str) -> None:
    perfect = [sample(name, boxes, np.ones(len(boxes))) for name, boxes in FACES.items()]
    values = evaluate(build(ground_truth=folder), perfect)
    assert {name.removeprefix('wider_face/') for name in values} == {
        'AP_easy', 'mAP_easy', 'AP_medium', 'mAP_medium', 'AP_hard', 'mAP_hard',
        'AP_height_0_16', 'AP_height_16_50', 'AP_height_50_300',
        'AP_blur_clear', 'AP_blur_normal', 'AP_blur_heavy', 'AP_occlusion_no',
    }  # fmt: skip
    assert set(values.values()) == {100.0}


def test_the_curves_are_those_of_the_settings(folder: str) -> None:
    metric = build(ground_truth=folder)
    values = evaluate(metric, samples())
    assert list(metric.pr_curves) == list(SETTINGS)
    for setting, (recall, precision) in metric.pr_curves.items():
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        area = float((np.diff(recall, prepend=0.0) * envelope).sum())
        assert 100 * area == pytest.approx(values[f'wider_face/AP_{setting}'])


def test_groups_ignore_the_other_faces(folder: str) -> None:
    """Only the large faces are found: nothing counts against the small ones' group but misses."""
    large = [
        sample(name, boxes[boxes[:, 3] >= 50], np.ones((boxes[:, 3] >= 50).sum()))
        for name, boxes in FACES.items()
    ]
    values = evaluate(build(ground_truth=folder, groups=['height']), large)
    assert values['wider_face/AP_height_50_300'] == 100
    assert values['wider_face/AP_height_16_50'] == 0
    assert values['wider_face/AP_hard'] == pytest.approx(50)


def test_without_files_the_samples_have_the_truth() -> None:
    values = []
    for boxes_type in (torch.Tensor, HorizontalBoxes):
        batch = []
        for truth in truths():
            boxes, scores = predictions(1)[truth.name]
            corners = torch.from_numpy(truth.boxes_xywh.astype(np.float32))
            corners[:, 2:] += corners[:, :2]
            counted = torch.from_numpy(truth.counted['medium'])
            kept, left = (
                corners[c] if boxes_type is torch.Tensor else HorizontalBoxes(corners[c])
                for c in (counted, ~counted)
            )
            attributes = torch.from_numpy(truth.attributes[truth.counted['medium']][:, :1])
            batch.append(
                sample(
                    truth.name, boxes, scores,
                    gt_instances=InstanceData(bboxes=kept, attributes=attributes),
                    ignored_instances=InstanceData(bboxes=left),
                )
            )  # fmt: skip
        metric = build()
        metric.dataset_meta = {'attributes': ATTRIBUTES[:1]}
        values.append(evaluate(metric, batch))
    assert values[0] == values[1]
    assert {'wider_face/AP_blur_clear', 'wider_face/AP_blur_normal'} <= set(values[0])
    assert 'wider_face/AP_occlusion_no' not in values[0]


def test_the_samples_truth_gives_the_files_ap(folder: str) -> None:
    official = evaluate(build(ground_truth=folder), samples(1))
    batch = []
    for truth in truths():
        corners = torch.from_numpy(truth.boxes_xywh.astype(np.float32))
        corners[:, 2:] += corners[:, :2]
        counted = torch.from_numpy(truth.counted['medium'])
        batch.append(
            sample(
                truth.name, *predictions(1)[truth.name],
                gt_instances=InstanceData(bboxes=corners[counted]),
                ignored_instances=InstanceData(bboxes=corners[~counted]),
            )
        )  # fmt: skip
    own = evaluate(build(), batch)
    assert own['wider_face/AP_all'] == official['wider_face/AP_medium']
    assert own['wider_face/mAP_all'] == official['wider_face/mAP_medium']


def test_false_alarms_on_images_without_faces(folder: str) -> None:
    batch = [sample(name, boxes, np.full(len(boxes), 0.5)) for name, boxes in FACES.items()]
    batch[2] = sample('1--Meeting/1_Meeting_none', np.array([[0.0, 0, 9, 9]]), np.ones(1))
    assert evaluate(build(ground_truth=folder), batch)['wider_face/AP_hard'] == 100
    strict = evaluate(build(ground_truth=folder, count_empty=True), batch)
    assert strict['wider_face/AP_hard'] == pytest.approx(80)


def test_repeated_images_and_shards_do_not_matter(folder: str) -> None:
    expected = evaluate(build(ground_truth=folder), samples())
    metric = build(ground_truth=folder)
    metric.process(None, samples()[::-1])
    metric.process(None, samples()[:1])
    assert metric.evaluate(4) == expected


def test_result_files(folder: str, tmp_path: Path) -> None:
    prefix = tmp_path / 'results'
    metric = build(outfile_prefix=str(prefix), format_only=True)
    assert evaluate(metric, samples()) == {}
    lines = (prefix / '1--Meeting/1_Meeting_a.b.txt').read_text().splitlines()
    assert lines[:2] == ['1_Meeting_a.b', str(len(lines) - 2)]
    numbers = np.array([line.split() for line in lines[2:]], float)
    assert (np.diff(numbers[:, 4]) <= 0).all()
    boxes, scores = predictions(0)['1--Meeting/1_Meeting_a.b']
    np.testing.assert_allclose(numbers[:, :4], boxes[np.argsort(-scores)], atol=1e-3)
    rounded = build(outfile_prefix=str(prefix), format_only=True, round_boxes=True)
    evaluate(rounded, samples())
    line = (prefix / '1--Meeting/1_Meeting_a.b.txt').read_text().splitlines()[2]
    assert all(float(v) == int(float(v)) for v in line.split()[:4])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(groups=['age']), r"groups: expected some of .*, got \['age'\]"),
        (dict(height_bands_px=[50, 16]), 'height_bands_px: expected rising numbers'),
        (dict(format_only=True), 'set outfile_prefix'),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_bad_samples(folder: str) -> None:
    with pytest.raises(FileNotFoundError, match=r'wider_face_val\.mat: no such file'):
        build(ground_truth=folder + '/nowhere')
    metric = build(ground_truth=folder)
    with pytest.raises(ValueError, match='2--Other/photo: no such image in the ground truth'):
        metric.process(None, [sample('2--Other/photo', np.ones((1, 4)), np.ones(1))])
    name = next(iter(FACES))
    with pytest.raises(ValueError, match=f'{name}: detections: expected finite'):
        metric.process(None, [sample(name, np.ones((1, 4)), np.array([np.nan]))])
    with pytest.raises(ValueError, match='no gt_instances in the data sample'):
        build().process(None, [sample(name, np.ones((1, 4)), np.ones(1))])


def test_half_precision_predictions(folder: str) -> None:
    name = '1--Meeting/1_Meeting_a.b'
    data = sample(name, FACES[name], np.ones(1))
    found = data['pred_instances']
    half = {key: value.to(torch.bfloat16) for key, value in found.items()}
    metric = build(ground_truth=folder)
    metric.process(None, [{**data, 'pred_instances': half}])
    assert metric.evaluate(1)['wider_face/AP_easy'] == 100
