"""The metric through mmengine's evaluator: sources, ranks, files, errors; and mmdet's own."""

import copy
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_set import CATEGORY_OF_LABEL, HEIGHT, META, WIDTH, random_set, with_instances
from mmdet.evaluation.metrics import CocoMetric
from mmengine.evaluator import Evaluator
from pycocotools import mask as run_lengths

from mmext.formats.panoptic_files import encode_id_png
from mmext.metrics.coco.detection_metric import CocoDetectionMetric
from mmext.registry import METRICS

HAS_HOTCOCO = importlib.util.find_spec('hotcoco') is not None
BACKENDS = ['pycocotools', *(['hotcoco'] if HAS_HOTCOCO else [])]


@pytest.fixture
def ann_file(tmp_path: Path) -> str:
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(random_set(6)[0] | {'info': {}}))
    return str(path)


@pytest.fixture
def samples() -> list[dict[str, Any]]:
    return random_set(6)[1]


def evaluate(samples, meta=META, **config) -> dict[str, float]:
    metric = METRICS.build({'type': 'mmext.CocoDetectionMetric', **config})
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = meta
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples))


@pytest.mark.parametrize('backend', BACKENDS)
def test_values_of_the_hosts_metric(ann_file: str, samples, backend: str) -> None:
    ours = evaluate(samples, ann_file=ann_file, metric=['bbox', 'segm'], backend=backend)
    host = CocoMetric(ann_file=ann_file, metric=['bbox', 'segm'])
    host.dataset_meta = META
    host.process({}, copy.deepcopy(samples))
    expected = host.evaluate(len(samples))
    assert set(expected) <= set(ours)
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, abs=5.1e-4), name  # the host rounds
        assert 0.02 < value < 0.95
    assert any(round(ours[name], 3) != ours[name] for name in expected)


def test_class_by_class_and_false_discovery(ann_file: str, samples) -> None:
    values = evaluate(samples, ann_file=ann_file, classwise=True, false_discovery=True)
    names = ['cat', 'traffic light', 'a_b_c']  # what a logger takes
    each = [values[f'coco/bbox_mAP/{name}'] for name in names]
    assert math.isnan(each[2])  # predicted, never annotated
    assert np.nanmean(each) == pytest.approx(values['coco/bbox_mAP'])
    assert values['coco/bbox_FD_5'] < values['coco/bbox_FD'] < values['coco/bbox_FD_50']
    assert values['coco/bbox_FD_50'] == pytest.approx(1 - values['coco/bbox_mAP_50'])


def test_plots_of_the_last_evaluation(ann_file: str, samples) -> None:
    metric = CocoDetectionMetric(ann_file=ann_file, metric=['bbox', 'segm'], prefix='coco')
    assert metric.confusion_matrix is None and metric.pr_curves == {}
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = META
    evaluator.process(samples)
    values = evaluator.evaluate(len(samples))
    content, _ = random_set(6)
    matrix = metric.confusion_matrix
    counted = [a for a in content['annotations'] if not a.get('iscrowd')]
    assert matrix is not None and matrix[:-1].sum() == len(counted)
    assert np.trace(matrix) > 0
    assert list(metric.pr_curves) == ['all, boxes', 'cat', 'traffic light', 'all, masks']
    recall, precision = metric.pr_curves['all, boxes']
    area = precision.sum() / 101  # the curve ends where its recall does
    assert area == pytest.approx(values['coco/bbox_mAP_50'])
    assert recall[0] == 0 and (np.diff(recall) > 0).all()


def test_truth_from_the_samples(ann_file: str, samples) -> None:
    """Also with uncompressed codes; the area of an object is that of its mask."""
    from_file = evaluate(samples, ann_file=ann_file, metric=['bbox', 'segm'])
    content, _ = random_set(6)
    packed = [with_instances(content, sample) for sample in samples]
    from_samples = evaluate(packed, metric=['bbox', 'segm'])
    for key, value in from_samples.items():
        assert value == pytest.approx(from_file[key], abs=1e-12), key


def test_order_and_repetition_do_not_matter(ann_file: str, samples) -> None:
    expected = evaluate(samples, ann_file=ann_file, metric=['bbox', 'segm'])
    shuffled = [samples[i] for i in np.random.default_rng(0).permutation(len(samples))]
    assert (
        evaluate([*shuffled, shuffled[3]], ann_file=ann_file, metric=['bbox', 'segm']) == expected
    )


def test_a_subset_is_not_taken_for_missed_objects(ann_file: str, samples) -> None:
    content, _ = random_set(6)
    subset = samples[:5]
    ids = {sample['img_id'] for sample in subset}
    smaller = {
        **content,
        'info': {},
        'images': [i for i in content['images'] if i['id'] in ids],
        'annotations': [a for a in content['annotations'] if a['image_id'] in ids],
    }
    file = Path(ann_file).with_name('subset.json')
    file.write_text(json.dumps(smaller))
    assert evaluate(subset, ann_file=ann_file) == evaluate(subset, ann_file=str(file))


def test_the_metric_is_used_again_after_an_epoch(ann_file: str, samples) -> None:
    metric = CocoDetectionMetric(ann_file=ann_file)
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = META
    values = []
    for _ in range(2):
        evaluator.process(samples)
        values.append(evaluator.evaluate(len(samples)))
    assert values[0] == values[1]


def test_codes_and_masks_are_the_same(ann_file: str, samples) -> None:
    expected = evaluate(samples, ann_file=ann_file, metric='segm')
    for sample in samples:
        predicted = sample['pred_instances']
        stack = np.asfortranarray(predicted['masks'].numpy().astype(np.uint8).transpose(1, 2, 0))
        predicted['masks'] = run_lengths.encode(stack) if stack.shape[2] else []
    assert evaluate(samples, ann_file=ann_file, metric='segm') == expected


def test_no_detections_at_all(ann_file: str, samples) -> None:
    for sample in samples:
        sample['pred_instances'] = {k: v[:0] for k, v in sample['pred_instances'].items()}
    for backend in BACKENDS:
        values = evaluate(samples, ann_file=ann_file, metric=['bbox', 'segm'], backend=backend)
        assert values['coco/bbox_mAP'] == values['coco/segm_mAP'] == 0


def test_results_files(tmp_path: Path, ann_file: str, samples) -> None:
    out = tmp_path / 'out' / 'run'
    config = dict(ann_file=ann_file, metric=['bbox', 'segm'], outfile_prefix=str(out))
    assert evaluate(samples, format_only=True, **config) == {}
    boxes = json.loads(Path(f'{out}.bbox.json').read_text())
    codes = json.loads(Path(f'{out}.segm.json').read_text())
    count = sum(len(s['pred_instances']['labels']) for s in samples)
    assert len(boxes) == len(codes) == count > 20
    assert set(boxes[0]) == {'image_id', 'category_id', 'bbox', 'score'}
    assert {row['category_id'] for row in boxes} == {3, 7, 9}
    assert codes[0]['segmentation']['size'] == [200, 220]


def test_two_ranks_measure_what_one_does(tmp_path: Path) -> None:
    script = Path(__file__).with_name('evaluate_coco_shard.py')
    ranks = [
        subprocess.Popen([sys.executable, str(script), str(tmp_path), str(rank), '2'])
        for rank in range(2)
    ]
    try:
        assert [rank.wait(timeout=400) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    content, samples = random_set(6, 7)
    packed = [with_instances(content, sample) for sample in samples]
    expected = evaluate(packed, metric=['bbox', 'segm'], classwise=True)
    for rank in range(2):
        ways = json.loads((tmp_path / f'coco_values.{rank}.json').read_text())
        assert len(ways) == 3
        for values in ways.values():
            np.testing.assert_equal(values, expected)


def test_bad_input_is_named(tmp_path: Path, ann_file: str, samples) -> None:
    with pytest.raises(ValueError, match="metric: expected 'bbox', 'segm' or both, got 'box'"):
        CocoDetectionMetric(metric='box')
    with pytest.raises(ValueError, match=r"backend: expected .*, got 'numpy'"):
        CocoDetectionMetric(backend='numpy')
    with pytest.raises(ValueError, match='format_only=True: set outfile_prefix'):
        CocoDetectionMetric(format_only=True)
    with pytest.raises(FileNotFoundError, match=r'no annotation file at .*nowhere\.json'):
        CocoDetectionMetric(ann_file=str(tmp_path / 'nowhere.json'))
    with pytest.raises(ValueError, match=r"no categories \['dog'\], .* it has \['a,b/c', 'cat'"):
        evaluate(samples, meta={'classes': ('cat', 'dog')}, ann_file=ann_file)
    with pytest.raises(ValueError, match=r"another order .*class 0 is 'traffic light', the file's"):
        evaluate(samples, meta={'classes': ('traffic light', 'cat', 'a,b/c')}, ann_file=ann_file)
    with pytest.raises(ValueError, match='the classes of the data set repeat a name'):
        evaluate(samples, meta={'classes': ('cat', 'cat')}, ann_file=ann_file)
    with pytest.raises(ValueError, match='no instances in the data sample; set ann_file'):
        evaluate(samples)
    stranger = {**samples[0], 'img_id': 999}
    with pytest.raises(ValueError, match=r'no images with the ids \[999\]'):
        evaluate([stranger], ann_file=ann_file)
    del samples[0]['pred_instances']['masks']
    with pytest.raises(ValueError, match='image 5: no masks in pred_instances'):
        evaluate(samples, ann_file=ann_file, metric='segm')
    filled = next(s for s in samples if len(s['pred_instances']['labels']))
    filled['pred_instances']['labels'][:] = 3
    with pytest.raises(ValueError, match=r'predicted labels \[3\]: expected 0 to 2'):
        evaluate([filled], ann_file=ann_file)


def as_panoptic(folder: Path, samples, content) -> list[dict[str, Any]]:
    """The samples of a panoptic data set: disjoint segments in a PNG, ids that are names."""
    packed = []
    for sample in samples:
        annotations = [a for a in content['annotations'] if a['image_id'] == sample['img_id']]
        ids = np.zeros((HEIGHT, WIDTH), np.int64)
        for number, annotation in enumerate(annotations):
            ids[run_lengths.decode(annotation['segmentation']) > 0] = 70_000 + number
        (folder / f'{sample["img_id"]}.png').write_bytes(encode_id_png(ids))
        instances = [
            dict(
                bbox=[*a['bbox'][:2], a['bbox'][0] + a['bbox'][2], a['bbox'][1] + a['bbox'][3]],
                bbox_label=CATEGORY_OF_LABEL.index(a['category_id']),
                ignore_flag=a['iscrowd'],
                segment_id=70_000 + number,
            )
            for number, a in enumerate(annotations)
        ]
        path = str(folder / f'{sample["img_id"]}.png')
        packed.append({**sample, 'instances': instances, 'seg_map_path': path})
        for number, annotation in enumerate(annotations):  # what is left of it is the truth
            code = run_lengths.encode(np.asfortranarray(ids == 70_000 + number, np.uint8))
            annotation['segmentation'] = {**code, 'counts': code['counts'].decode()}
            annotation['area'] = float(run_lengths.area(code))
    return packed


PANOPTIC_META = {
    'classes': (*META['classes'], 'sky'),
    'thing_classes': META['classes'],
    'stuff_classes': ('sky',),
}


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_panoptic_set_needs_no_instances_file(tmp_path: Path, samples, backend: str) -> None:
    content = random_set(6)[0] | {'info': {}}
    packed = as_panoptic(tmp_path, samples, content)
    file = tmp_path / 'instances.json'
    file.write_text(json.dumps(content))
    config = dict(metric=['bbox', 'segm'], classwise=True, backend=backend)
    expected = evaluate(samples, ann_file=str(file), **config)
    named = [{**sample, 'img_id': f'aachen_{sample["img_id"]:06d}'} for sample in packed]
    prefix = str(tmp_path / 'out')
    for given in (packed, named):
        values = evaluate(given, PANOPTIC_META, outfile_prefix=prefix, **config)
        assert set(values) == set(expected)
        for name, value in values.items():
            assert value == pytest.approx(expected[name], abs=1e-12, nan_ok=True), name
    records = json.loads(Path(f'{prefix}.segm.json').read_text())
    assert {r['image_id'] for r in records} <= {sample['img_id'] for sample in named}


def test_classes_of_a_panoptic_set_go_by_name(ann_file: str, samples) -> None:
    expected = evaluate(samples, ann_file=ann_file, classwise=True)
    permuted = ('traffic light', 'a,b/c', 'cat')
    for sample in samples:
        labels = sample['pred_instances']['labels']
        sample['pred_instances']['labels'] = (labels + 2) % 3
    meta = {'classes': (*permuted, 'sky'), 'thing_classes': permuted, 'stuff_classes': ('sky',)}
    values = evaluate(samples, meta, ann_file=ann_file, classwise=True)
    for name, value in values.items():
        assert value == pytest.approx(expected[name], abs=1e-12, nan_ok=True), name


def test_masks_that_are_nowhere_are_missed(samples) -> None:
    sample = {**samples[0], 'instances': [dict(bbox=[0, 0, 9, 9], bbox_label=0)]}
    with pytest.raises(ValueError, match=r'an instance has no mask\. Set ann_file'):
        evaluate([sample], metric='segm')
