"""Both engines against the plain protocol of pycocotools, and what is summed up from curves."""

import contextlib
import copy
import importlib.util
import io
import math

import numpy as np
import pytest
from coco_set import CATEGORY_OF_LABEL, random_set
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmext.errors import InputError
from mmext.metrics.coco.curves import FALSE_DISCOVERY_IOUS, Curves, false_discovery_rates, summarise
from mmext.metrics.coco.detection_metric import CocoDetectionMetric
from mmext.metrics.coco.evaluation import CocoGroundTruth, Detections

HAS_HOTCOCO = importlib.util.find_spec('hotcoco') is not None
BACKENDS = ['pycocotools', *(['hotcoco'] if HAS_HOTCOCO else [])]


def table(samples, iou_type: str) -> Detections:
    metric = CocoDetectionMetric(metric=['bbox', 'segm'], format_only=True, outfile_prefix='x')
    metric.process(None, samples)
    return metric._detections(metric.results, CATEGORY_OF_LABEL, iou_type)


def reference(content, detections: Detections, iou_type: str, image_ids) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy({**content, 'info': {}})
        truth.createIndex()
        found = truth.loadRes(detections.records(iou_type))
        evaluation = COCOeval(truth, found, iou_type)
        evaluation.params.imgIds = image_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('seed', range(3))
def test_curves_and_numbers_are_pycocotools(backend: str, iou_type: str, seed: int) -> None:
    content, samples = random_set(seed)
    before = copy.deepcopy(content)
    detections = table(samples, iou_type)
    image_ids = [image['id'] for image in content['images']][:-2]
    truth = CocoGroundTruth(content, backend)
    curves = truth.evaluate(detections, iou_type, image_ids, CATEGORY_OF_LABEL)
    expected = reference(content, detections, iou_type, image_ids)
    order = [sorted(CATEGORY_OF_LABEL).index(c) for c in CATEGORY_OF_LABEL]
    np.testing.assert_array_equal(curves.precision, expected.eval['precision'][:, :, order])
    np.testing.assert_array_equal(curves.recall, expected.eval['recall'][:, order])
    values = summarise(curves)
    assert 0.1 < values['mAP'] < 0.9
    names = ['mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l', 'AR_1', 'AR_10', 'AR_100']
    names += ['AR_s', 'AR_m', 'AR_l']
    assert list(values) == names
    assert not any(math.isnan(value) for value in values.values())
    np.testing.assert_allclose(list(values.values()), expected.stats, rtol=1e-12)
    assert content == before


@pytest.mark.parametrize('backend', BACKENDS)
def test_false_discovery_is_one_minus_ap_at_low_ious(backend: str) -> None:
    content, samples = random_set(4)
    detections = table(samples, 'bbox')
    image_ids = [image['id'] for image in content['images']]
    curves = CocoGroundTruth(content, backend).evaluate(
        detections, 'bbox', image_ids, CATEGORY_OF_LABEL, ious=FALSE_DISCOVERY_IOUS
    )
    rates = false_discovery_rates(curves)
    assert list(rates) == ['FD', 'FD_5', 'FD_25', 'FD_50', 'FD_s', 'FD_m', 'FD_l']
    assert rates['FD_5'] < rates['FD_25'] < rates['FD_50']
    high = CocoGroundTruth(content, backend).evaluate(
        detections, 'bbox', image_ids, CATEGORY_OF_LABEL
    )
    assert rates['FD_50'] == pytest.approx(1 - high.average_precision(0.5))
    each = [1 - curves.average_precision(iou) for iou in FALSE_DISCOVERY_IOUS]
    assert rates['FD'] == pytest.approx(np.mean(each))


@pytest.mark.parametrize('backend', BACKENDS)
def test_truth_as_detections_is_1_and_none_is_0(backend: str) -> None:
    content, _ = random_set(1)
    real = [a for a in content['annotations'] if not a['iscrowd']]
    perfect = Detections(
        np.array([a['image_id'] for a in real]),
        np.array([a['category_id'] for a in real]),
        np.array([a['bbox'] for a in real]),
        np.ones(len(real)),
    )
    image_ids = [image['id'] for image in content['images']]
    truth = CocoGroundTruth(content, backend)
    curves = truth.evaluate(perfect, 'bbox', image_ids, CATEGORY_OF_LABEL)
    assert summarise(curves)['mAP'] == 1
    by_category = curves.by_category()
    assert by_category[:2].tolist() == [1, 1]
    assert math.isnan(by_category[2])  # never annotated
    nothing = Detections(*np.zeros((2, 0), np.int64), np.zeros((0, 4)), np.zeros(0))
    values = summarise(truth.evaluate(nothing, 'bbox', image_ids, CATEGORY_OF_LABEL))
    assert values['mAP'] == values['AR_100'] == 0


@pytest.mark.parametrize('backend', BACKENDS)
def test_values_that_are_not_compared_do_not_matter(backend: str) -> None:
    """As CVAT, Label Studio and others write them."""
    content, samples = random_set(2)
    image_ids = [image['id'] for image in content['images']]
    found = table(samples, 'bbox')
    odd = copy.deepcopy(content)
    for image in odd['images']:
        image |= dict(license='x', date_captured=0, coco_url=0, flickr_url=None, file_name=3)
    for category in odd['categories']:
        category |= dict(supercategory=7, keypoints='none', skeleton=[['a', 'b']])
    for annotation in odd['annotations']:
        annotation |= dict(score='', attributes={}, keypoints='', num_keypoints='3', obb=[1])
    odd |= dict(licenses='none', info=[])
    numbers = [
        summarise(CocoGroundTruth(c, backend).evaluate(found, 'bbox', image_ids, CATEGORY_OF_LABEL))
        for c in (content, odd)
    ]
    assert numbers[0] == pytest.approx(numbers[1], abs=0, nan_ok=True)
    assert numbers[0]['mAP'] > 0


@pytest.mark.parametrize('backend', BACKENDS)
def test_key_points(backend: str) -> None:
    """Five joints with their own sigmas."""
    rng = np.random.default_rng(0)
    content, _ = random_set(2)
    points, images = [], []
    for annotation in content['annotations']:
        x, y, w, h = annotation['bbox']
        joints = np.c_[rng.uniform(x, x + w, 5), rng.uniform(y, y + h, 5), rng.integers(0, 3, 5)]
        annotation.update(category_id=3, keypoints=joints.ravel().tolist())
        points.append(np.c_[joints[:, :2] + rng.normal(0, 2, (5, 2)), np.ones(5)].ravel())
        images.append(annotation['image_id'])
    detections = Detections(
        np.array(images),
        np.full(len(images), 3),
        np.zeros((len(images), 4)),
        rng.random(len(images)),
        keypoints=np.array(points),
    )
    sigmas = [0.03, 0.05, 0.08, 0.1, 0.05]
    ids = sorted(set(images))
    curves = CocoGroundTruth(content, backend).evaluate(
        detections, 'keypoints', ids, [3], sigmas=sigmas
    )
    annotated = copy.deepcopy(content)
    for annotation in annotated['annotations']:
        annotation['num_keypoints'] = int(sum(v > 0 for v in annotation['keypoints'][2::3]))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {**annotated, 'info': {}}
        truth.createIndex()
        found = truth.loadRes(detections.records('keypoints'))
        expected = COCOeval(truth, found, 'keypoints')
        expected.params.kpt_oks_sigmas = np.array(sigmas)
        expected.params.imgIds, expected.params.catIds = ids, [3]
        expected.evaluate()
        expected.accumulate()
    np.testing.assert_array_equal(curves.precision, expected.eval['precision'])
    assert 0.2 < curves.average_precision() < 0.95
    with pytest.raises(ValueError, match=r'expected 17 for each object .* got 5'):
        CocoGroundTruth(content, backend).evaluate(detections, 'keypoints', ids, [3])
    content['annotations'][1]['keypoints'][1] = 'a'
    with pytest.raises(InputError, match='ground truth, annotation 2: keypoints: expected numbers'):
        CocoGroundTruth(content, backend).evaluate(detections, 'keypoints', ids, [3])


def test_bad_input() -> None:
    content, samples = random_set(0)
    detections = table(samples, 'bbox')
    with pytest.raises(ValueError, match=r"backend: .* got 'numpy'"):
        CocoGroundTruth(content, 'numpy')  # type: ignore[arg-type]
    truth = CocoGroundTruth(content)
    assert truth.backend in BACKENDS
    with pytest.raises(ValueError, match="none with what 'segm' compares"):
        truth.evaluate(detections, 'segm', [5], CATEGORY_OF_LABEL)
    detections.image_ids[0] = 4
    with pytest.raises(ValueError, match='1 images are not annotated, as 4'):
        truth.evaluate(detections, 'bbox', [5], CATEGORY_OF_LABEL)


def test_nothing_to_find_is_nan() -> None:
    shape = (1, 101, 1, 4, 3)
    nothing = Curves(
        -np.ones(shape), -np.ones((1, 1, 4, 3)), np.array([0.5]), ('', 's', 'm', 'l'), (1, 10, 100)
    )
    assert all(math.isnan(value) for value in summarise(nothing).values())
