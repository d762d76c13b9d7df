"""PCK and PCKh by hand, against loops, and against the released formulas' values."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmext.errors import InputError, MissingFileError
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.metrics.landmarks.pck import (
    correct_shares,
    groups_of,
    mean_over_thresholds,
    mean_share,
    normalized_distances,
    pck_values,
)
from mmext.registry import METRICS

# errors 0, 5, 0 of a face of length 10; 0, 2 and a hidden point of one of length 4
ERRORS = np.array([[0.0, 5, 0], [0, 2, 9]])
VISIBLE = np.array([[2, 2, 1], [1, 2, 0]])


def distances(errors: np.ndarray, visible: np.ndarray, lengths: list[float]) -> np.ndarray:
    points = np.random.default_rng(0).uniform(0, 50, (*errors.shape, 2))
    moved = points + np.stack([0.6 * errors, -0.8 * errors], axis=-1)
    return normalized_distances(moved, points, visible, np.array(lengths))


def test_values_of_the_released_formulas() -> None:
    """Mmpose's functions give 1, 0, 1 and .6667 at .5, and .83333 as its AUC at length 10."""
    found = distances(ERRORS, VISIBLE, [10, 4])
    shares, counts = correct_shares(np.round(found, 12), 0.5)
    np.testing.assert_array_equal(shares, (1, 0, 1))  # a half is not nearer than a half
    np.testing.assert_array_equal(counts, (2, 2, 1))
    assert mean_share(shares) == pytest.approx(2 / 3)
    assert mean_share(shares, counts) == pytest.approx(3 / 5)
    at_ten = np.round(distances(ERRORS, VISIBLE, [10, 10]), 12)
    assert mean_over_thresholds(at_ten) == pytest.approx(0.83333, abs=1e-5)


@pytest.mark.parametrize('seed', range(6))
def test_values_equal_a_loop(seed: int) -> None:
    draw = np.random.default_rng(seed)
    count = int(draw.integers(0, 9))
    points, moved = draw.uniform(0, 60, (2, count, 5, 2))
    visible = draw.integers(0, 3, (count, 5))
    lengths = draw.choice([np.nan, 20.0, 60.0], count)
    moved[draw.random(count) < 0.3] = np.inf  # not found
    values = pck_values(
        normalized_distances(moved, points, visible, lengths), (0.5, 0.2), groups={'ends': (0, 4)}
    )
    for threshold in (0.5, 0.2):
        right, total = [0] * 5, [0] * 5
        for i in range(count):
            for k in range(5):
                if visible[i, k] and not math.isnan(lengths[i]):
                    total[k] += 1
                    apart = [abs(moved[i, k, a] - points[i, k, a]) for a in (0, 1)]
                    right[k] += math.hypot(*apart) < threshold * lengths[i]
        each = [100 * r / t for r, t in zip(right, total, strict=True) if t]
        expected = sum(each) / len(each) if each else math.nan
        pooled = 100 * sum(right) / sum(total) if sum(total) else math.nan
        assert values[f'PCK@{threshold}'] == pytest.approx(expected, nan_ok=True)
        assert values[f'PCK@{threshold}_points'] == pytest.approx(pooled, nan_ok=True)
        if threshold == 0.5:
            ends = total[0] + total[4]
            share = 100 * (right[0] + right[4]) / ends if ends else math.nan
            assert values['PCK/ends'] == pytest.approx(share, nan_ok=True)


def test_groups_of_mpii() -> None:
    groups = groups_of(LANDMARK_SETS['mpii'].keypoints)
    expected = dict(shoulder=[12, 13], elbow=[11, 14], wrist=[10, 15], hip=[2, 3], knee=[1, 4])
    assert {key: groups[key] for key in expected} == expected
    assert groups['ankle'] == [0, 5]
    assert groups['head_top'] == [9]


# the evaluators

MPII = LANDMARK_SETS['mpii'].keypoints


@pytest.fixture
def people(tmp_path: Path) -> tuple[str, list[dict[str, Any]], np.ndarray]:
    """A file of four persons on two images, their predictions, and the points."""
    draw = np.random.default_rng(3)
    points = draw.uniform(0, 100, (4, 16, 2)) + np.arange(4)[:, None, None] * 150
    visible = draw.integers(0, 3, (4, 16))
    heads = [[5, 5, 18, 24], [0, 0, 30, 40], [2, 1, 12, 16], None]  # diagonals 30, 50, 20
    annotations = [
        dict(
            id=i + 1,
            image_id=i // 2,
            bbox=[150 * i, 150 * i, 100, 100],
            head_bbox=heads[i],
            keypoints=np.concatenate([points[i], visible[i][:, None]], 1).ravel().tolist(),
            subsets=['hard'] if i == 1 else [],
        )
        for i in range(4)
    ]
    crowd = dict(id=9, image_id=0, bbox=[0, 0, 9, 9], keypoints=[0] * 48, iscrowd=1)
    path = tmp_path / 'mpii.json'
    images = [dict(id=0, subsets=['first']), dict(id=1)]
    content = dict(
        images=[dict(image, width=600, height=600) for image in images],
        annotations=[dict(each, category_id=1) for each in (*annotations, crowd)],
        categories=[dict(id=1, name='person')],
    )
    path.write_text(json.dumps(content))
    moved = points + draw.normal(0, 6, points.shape)
    samples = [
        dict(
            img_id=image,
            img_path=f'set_{image}/a.jpg',
            pred_instances=dict(
                bboxes=np.array([[150.0 * i, 150 * i, 150 * i + 100, 150 * i + 100] for i in own]),
                scores=np.ones(2),
                keypoints=moved[own],
            ),
        )
        for image, own in enumerate(([0, 1], [2, 3]))
    ]
    return str(path), samples, np.linalg.norm(moved - points, axis=2)


def evaluate(kind: str, samples: list[dict], **options: Any) -> dict[str, float]:
    metric = METRICS.build(dict(type=kind, **options))
    metric.dataset_meta = dict(keypoints=MPII)
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_pckh_is_that_of_mpii(people: tuple[str, list[dict], np.ndarray]) -> None:
    path, samples, errors = people
    content = json.loads(Path(path).read_text())
    values = evaluate('LandmarkPCKhMetric', samples, ann_file=path)
    right, total = np.zeros((2, 16))
    for i, diagonal in enumerate((30, 50, 20)):  # the fourth has no head
        visible = content['annotations'][i]['keypoints'][2::3]
        for k in range(16):
            if visible[k] and k not in (6, 7):
                total[k] += 1
                right[k] += errors[i, k] < 0.5 * 0.6 * diagonal
    occurs = total > 0
    assert 0 < right.sum() < total.sum()
    assert values['pckh/PCKh@0.5'] == pytest.approx(100 * right.sum() / total.sum())
    names = 100 * np.mean(right[occurs] / total[occurs])
    assert values['pckh/PCKh@0.5_names'] == pytest.approx(names)
    knees = [1, 4]
    assert values['pckh/PCKh/knee'] == pytest.approx(100 * right[knees].sum() / total[knees].sum())
    assert values['pckh/found'] == 100
    assert not {'pckh/PCKh/pelvis', 'pckh/PCKh/thorax'} & set(values)


def test_persons_that_are_not_found_are_wrong(people: tuple[str, list[dict], np.ndarray]) -> None:
    path, samples, _ = people
    whole = evaluate('LandmarkPCKMetric', samples, ann_file=path, thresholds=(5.0,))
    assert whole['pck/PCK@5'] == 100
    samples[1]['pred_instances'] = {k: v[:1] for k, v in samples[1]['pred_instances'].items()}
    values = evaluate('LandmarkPCKMetric', samples, ann_file=path, thresholds=(5.0,))
    assert values['pck/found'] == 75
    rows = [a['keypoints'][2::3] for a in json.loads(Path(path).read_text())['annotations'][:4]]
    counts = (np.array(rows) > 0).sum(axis=1)
    assert values['pck/PCK@5_points'] == pytest.approx(100 * counts[:3].sum() / counts.sum())


def test_subsets_come_from_the_file_and_from_paths(
    people: tuple[str, list[dict], np.ndarray],
) -> None:
    path, samples, errors = people
    patterns = dict(second='set_1', none='nowhere')
    values = evaluate(
        'LandmarkNMEMetric', samples, ann_file=path, normalizer='box_width', subsets=patterns
    )
    rows = [a['keypoints'][2::3] for a in json.loads(Path(path).read_text())['annotations'][:4]]
    visible = np.array(rows) > 0
    each = [errors[i][visible[i]].mean() for i in range(4)]  # boxes of 100 px: percent
    assert values['landmarks/NME'] == pytest.approx(np.mean(each))
    assert values['landmarks/NME_points'] == pytest.approx(errors[visible].mean())
    assert values['landmarks/NME/hard'] == pytest.approx(each[1])
    assert values['landmarks/NME/first'] == pytest.approx(np.mean(each[:2]))
    assert values['landmarks/NME/second'] == pytest.approx(np.mean(each[2:]))
    assert 'landmarks/NME/none' not in values
    pck = evaluate(
        'LandmarkPCKMetric', samples, ann_file=path, subsets=patterns, thresholds=(0.05,)
    )
    assert pck['pck/PCK@0.05/hard'] == pytest.approx(100 * (errors[1][visible[1]] < 5).mean())


def test_order_and_repetition_do_not_matter(people: tuple[str, list[dict], np.ndarray]) -> None:
    path, samples, _ = people
    once = evaluate('LandmarkPCKhMetric', samples, ann_file=path)
    again = evaluate('LandmarkPCKhMetric', [*samples[::-1], samples[0]], ann_file=path)
    assert again == pytest.approx(once, nan_ok=True)


def test_truth_of_the_samples_serves_too(people: tuple[str, list[dict], np.ndarray]) -> None:
    path, samples, _ = people
    annotations = json.loads(Path(path).read_text())['annotations'][:4]
    for number, sample in enumerate(samples):
        triples = np.array([a['keypoints'] for a in annotations[2 * number : 2 * number + 2]])
        triples = triples.reshape(2, 16, 3)
        sample['gt_instances'] = dict(
            bboxes=sample['pred_instances']['bboxes'],
            keypoints=triples[..., :2],
            keypoints_visible=triples[..., 2],
        )
    options = dict(normalizer='torso', thresholds=(0.2,), left_out=('pelvis',))
    from_file = evaluate('LandmarkPCKMetric', samples, ann_file=path, **options)
    from_samples = evaluate('LandmarkPCKMetric', samples, **options)
    from_file = {k: v for k, v in from_file.items() if k.count('/') == 1 or 'PCK/' in k}
    assert from_samples == pytest.approx(from_file, nan_ok=True)


def test_what_is_wrong_is_said(people: tuple[str, list[dict], np.ndarray], tmp_path: Path) -> None:
    path, samples, _ = people
    with pytest.raises(InputError, match="'head' needs an ann_file"):
        evaluate('LandmarkPCKMetric', samples, normalizer='head')
    content = json.loads(Path(path).read_text())
    content['annotations'] = [{**a, 'head_bbox': None} for a in content['annotations']]
    (tmp_path / 'headless.json').write_text(json.dumps(content))
    with pytest.raises(InputError, match='no annotation has head_bbox'):
        evaluate('LandmarkPCKhMetric', samples, ann_file=str(tmp_path / 'headless.json'))
    with pytest.raises(InputError, match='thresholds: expected numbers above 0'):
        evaluate('LandmarkPCKMetric', samples, thresholds=(0,))
    with pytest.raises(InputError, match='left_out: tail: not among'):
        evaluate('LandmarkPCKMetric', samples, ann_file=path, left_out=('tail',))
    with pytest.raises(MissingFileError, match='check ann_file'):
        evaluate('LandmarkPCKhMetric', samples, ann_file=str(tmp_path / 'none.json'))
    whole = json.loads(Path(path).read_text())
    for changed, message in (
        (dict(keypoints=['a'] * 48), 'annotation 1: keypoints: expected numbers in threes'),
        (dict(keypoints=[1, 2, 3, 4]), 'annotation 1: keypoints: expected numbers in threes'),
        (
            dict(keypoints=[1, float('nan'), 2] * 16),
            r'got \[1.0, nan, 2.0\] of point 0',
        ),
        (dict(keypoints=[1, 2, 2] * 15 + [1, 2, 3]), r'got \[1.0, 2.0, 3.0\] of point 15'),
        (
            dict(keypoints=[1, 2, 2] * 3),
            r'with one number .* some of \[3, 16\] points',
        ),
    ):
        first, *others = whole['annotations']
        broken = whole | dict(annotations=[first | changed, *others])
        (tmp_path / 'broken.json').write_text(json.dumps(broken))
        with pytest.raises(InputError, match=message):
            evaluate('LandmarkPCKhMetric', samples, ann_file=str(tmp_path / 'broken.json'))
    nobody = [each | dict(keypoints=None) for each in whole['annotations']]
    (tmp_path / 'broken.json').write_text(json.dumps(whole | dict(annotations=nobody)))
    with pytest.raises(InputError, match=r'broken\.json: expected objects .* got none'):
        evaluate('LandmarkPCKhMetric', samples, ann_file=str(tmp_path / 'broken.json'))
    twice = whole | dict(images=[*whole['images'], whole['images'][0]])
    (tmp_path / 'broken.json').write_text(json.dumps(twice))
    with pytest.raises(InputError, match='image id 0 is used twice'):
        evaluate('LandmarkPCKhMetric', samples, ann_file=str(tmp_path / 'broken.json'))
    with pytest.raises(InputError, match='has no image 7'):
        evaluate('LandmarkPCKhMetric', [samples[0] | dict(img_id=7)], ann_file=path)
    with pytest.raises(InputError, match='no keypoints in gt_instances'):
        evaluate('LandmarkPCKMetric', samples)
    (tmp_path / 'list.json').write_text('[]')
    with pytest.raises(InputError, match='no COCO file, it holds a list'):
        evaluate('LandmarkPCKMetric', samples, ann_file=str(tmp_path / 'list.json'))


def test_nothing_at_all(people: tuple[str, list[dict], np.ndarray]) -> None:
    path, samples, _ = people
    for sample in samples:
        sample['pred_instances'] = {k: v[:0] for k, v in sample['pred_instances'].items()}
    values = evaluate('LandmarkPCKhMetric', samples, ann_file=path)
    assert values['pckh/PCKh@0.5'] == values['pckh/found'] == 0
