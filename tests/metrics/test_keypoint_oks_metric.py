import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmext.metrics.coco.keypoint_oks_metric import KeypointOKSMetric

POINTS, SIGMAS = 3, (0.05, 0.05, 0.1)
META = dict(classes=('dog', 'cat'), sigmas=SIGMAS)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Three images; the last one is empty. Category ids have gaps and do not ascend."""
    rng = np.random.default_rng(0)
    annotations = []
    for i in range(6):
        x, y = rng.uniform(0, 100, 2)
        points = rng.uniform(0, 1, (POINTS, 2)) * [60, 50] + [x, y]
        annotations.append(
            dict(
                id=i + 1,
                image_id=10 + i % 2,
                category_id=(9, 4)[i % 3 == 0],
                iscrowd=0,
                bbox=[x, y, 60, 50],
                area=2000.0,
                keypoints=np.c_[points, np.full(POINTS, 2)].ravel().tolist(),
                num_keypoints=POINTS,
            )
        )
    content = dict(
        images=[dict(id=i, width=200, height=200, file_name=f'{i}.jpg') for i in (10, 11, 12)],
        categories=[dict(id=9, name='dog'), dict(id=4, name='cat')],
        annotations=annotations,
    )
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(content))
    return path


def samples(truth: Path, noise: float = 0.0, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    content = json.loads(truth.read_text())
    made = []
    for image in content['images']:
        own = [a for a in content['annotations'] if a['image_id'] == image['id']]
        points = np.array([a['keypoints'] for a in own]).reshape(-1, POINTS, 3)[..., :2]
        points = points + rng.normal(0, noise, points.shape) if noise else points
        made.append(
            dict(
                img_id=image['id'],
                pred_instances=InstanceData(
                    keypoints=torch.tensor(points),
                    keypoint_scores=torch.rand(len(own), POINTS),
                    scores=torch.linspace(0.9, 0.5, len(own)),
                    labels=torch.tensor([int(a['category_id'] == 4) for a in own]).long(),
                    bboxes=torch.zeros(len(own), 4),
                ),
            )
        )
    return made


def run(metric: KeypointOKSMetric, batches: list[list[dict]], meta: dict = META) -> dict:
    metric.dataset_meta = meta
    for batch in batches:
        metric.process({}, batch)
    return metric.evaluate(sum(map(len, batches)))


def test_identical_is_1(truth: Path) -> None:
    values = run(KeypointOKSMetric(str(truth)), [samples(truth)])
    assert values['keypoints/AP'] == pytest.approx(1)
    assert values['keypoints/AR'] == pytest.approx(1)
    assert np.isnan(values['keypoints/AP_L'])
    assert len(values) == 10


def similarity(annotation: dict, points: np.ndarray) -> float:
    """Object key point similarity by its definition, point by point."""
    truth = np.reshape(annotation['keypoints'], (-1, 3))
    terms = []
    for (x, y, v), (px, py), sigma in zip(truth, points, SIGMAS, strict=True):
        if v > 0:
            distance = (x - px) ** 2 + (y - py) ** 2
            terms.append(np.exp(-distance / (2 * annotation['area'] * (2 * sigma) ** 2)))
    return sum(terms) / len(terms)


def test_recall_is_the_share_of_thresholds_below_the_similarity(truth: Path) -> None:
    content = json.loads(truth.read_text())
    content['annotations'] = content['annotations'][:1]
    truth.write_text(json.dumps(content))
    batch = samples(truth, 2.5, seed=4)
    points = batch[0]['pred_instances'].keypoints[0].numpy()
    found = similarity(content['annotations'][0], points)
    assert 0.5 < found < 0.95
    values = run(KeypointOKSMetric(str(truth)), [batch])
    thresholds = np.linspace(0.5, 0.95, 10)
    assert values['keypoints/AR'] == pytest.approx((thresholds <= found).mean())


def test_the_curves_have_the_area_of_the_values(truth: Path) -> None:
    metric = KeypointOKSMetric(str(truth))
    values = run(metric, [samples(truth, noise=3.0)])
    assert list(metric.pr_curves) == ['OKS 0.5', 'OKS 0.75']
    for name, value in (('OKS 0.5', 'AP50'), ('OKS 0.75', 'AP75')):
        area = metric.pr_curves[name][1].sum() / 101
        assert 0 < area == pytest.approx(values[f'keypoints/{value}'])


def test_elsewhere_is_0(truth: Path) -> None:
    batch = samples(truth)
    for sample in batch:
        sample['pred_instances'].keypoints += 5000
    assert run(KeypointOKSMetric(str(truth)), [batch])['keypoints/AP'] == 0


def test_nothing_found_is_0(truth: Path) -> None:
    batch = samples(truth)
    for sample in batch:
        sample['pred_instances'] = sample['pred_instances'][:0]
    assert run(KeypointOKSMetric(str(truth)), [batch])['keypoints/AP'] == 0


@pytest.mark.parametrize('backend', ['auto', 'pycocotools'])
def test_order_sharding_and_engine_do_not_matter(truth: Path, backend: str) -> None:
    expected = run(KeypointOKSMetric(str(truth)), [samples(truth, 2.0)])
    assert 0 < expected['keypoints/AP'] < 1
    backwards = [[sample] for sample in reversed(samples(truth, 2.0))]
    repeated = [*backwards, backwards[0]]
    assert run(KeypointOKSMetric(str(truth), backend=backend), repeated) == pytest.approx(
        expected, nan_ok=True
    )


def test_writes_the_results_format(truth: Path, tmp_path: Path) -> None:
    prefix = tmp_path / 'out' / 'val'
    run(KeypointOKSMetric(str(truth), outfile_prefix=str(prefix)), [samples(truth)])
    rows = json.loads((tmp_path / 'out' / 'val.keypoints.json').read_text())
    assert len(rows) == 6
    assert {row['category_id'] for row in rows} == {4, 9}
    assert len(rows[0]['keypoints']) == 3 * POINTS


def test_errors(truth: Path) -> None:
    with pytest.raises(FileNotFoundError, match='no annotations at'):
        run(KeypointOKSMetric('missing.json'), [samples(truth)])
    with pytest.raises(ValueError, match='sigmas: state them'):
        run(KeypointOKSMetric(str(truth)), [samples(truth)], dict(classes=('dog', 'cat')))
    with pytest.raises(ValueError, match=r"no categories \['cow'\], .* it has \['cat', 'dog'\]"):
        run(KeypointOKSMetric(str(truth)), [samples(truth)], META | dict(classes=('cow',)))
    with pytest.raises(ValueError, match=r"another order .*class 0 is 'cat', the file's 'dog'"):
        run(KeypointOKSMetric(str(truth)), [samples(truth)], META | dict(classes=('cat', 'dog')))
    for label in (-1, 2):
        wrong = samples(truth)
        wrong[0]['pred_instances'].labels[0] = label
        with pytest.raises(ValueError, match=rf'predicted labels \[{label}\]: expected 0 to 1'):
            run(KeypointOKSMetric(str(truth)), [wrong])
    with pytest.raises(ValueError, match='expected 2 for each object'):
        run(KeypointOKSMetric(str(truth), sigmas=(0.1, 0.1)), [samples(truth)])
    with pytest.raises(ValueError, match='image 10: no keypoints'):
        KeypointOKSMetric(str(truth)).process({}, [dict(img_id=10, pred_instances={})])
