"""Box AP of 1,500 images and 150,000 detections by mmext.CocoDetectionMetric.

Against pycocotools on the same arrays, the evaluation alone, and against mmdet's CocoMetric from
predictions in memory to values, which writes a JSON file and reads it back.
"""

import contextlib
import copy
import io
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.evaluation.metrics import CocoMetric
from mmengine.logging import MMLogger

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.host import import_mmdet
from mmext.metrics.coco.curves import summarise
from mmext.metrics.coco.detection_metric import CocoDetectionMetric
from mmext.metrics.coco.evaluation import CocoGroundTruth, Detections

CLASSES, PER_IMAGE = 80, 100


def run(quick: bool) -> list[Row]:
    """Measures both ways; the values must be equal.

    Raises:
        AssertionError: if they are not.
    """
    import_mmdet()
    MMLogger.get_current_instance().setLevel('ERROR')
    images, rounds = (150, 2) if quick else (1500, 3)
    content, samples = random_set(images)
    with tempfile.TemporaryDirectory() as folder:
        ann_file = Path(folder) / 'instances.json'
        ann_file.write_text(json.dumps(content))
        return [_evaluation(content, samples, rounds), _metric(ann_file, samples, rounds)]


def _evaluation(content: dict[str, Any], samples: list[dict[str, Any]], rounds: int) -> Row:
    """From arrays to precision and recall."""
    detections = _detections(samples)
    image_ids = [image['id'] for image in content['images']]
    category_ids = list(range(1, CLASSES + 1))
    truths = {name: CocoGroundTruth(content, name) for name in ('auto', 'pycocotools')}
    functions = {
        name: lambda truth=truth: truth.evaluate(detections, 'bbox', image_ids, category_ids)
        for name, truth in truths.items()
    }
    found = {name: function() for name, function in functions.items()}
    np.testing.assert_array_equal(found['auto'].precision, found['pycocotools'].precision)
    np.testing.assert_array_equal(found['auto'].recall, found['pycocotools'].recall)
    times = milliseconds_in_turn(functions, rounds, warmup=0)  # the check was the warm-up
    ours, reference = (statistics.median(times[name]) for name in ('auto', 'pycocotools'))
    print(f'box AP {summarise(found["auto"])["mAP"]:.6f} by {truths["auto"].backend}, equal')
    what = f'box evaluation, {len(image_ids)} images, {len(detections.scores)} detections'
    return Row(what, 'pycocotools', ours, reference, 'ms', aim=50.0)


def _metric(ann_file: Path, samples: list[dict[str, Any]], rounds: int) -> Row:
    """From predictions to values, the ground truth loaded before."""
    meta = {'classes': [f'class {c}' for c in range(1, CLASSES + 1)]}
    metrics = {
        'ours': CocoDetectionMetric(ann_file=str(ann_file)),
        'mmdet': CocoMetric(ann_file=str(ann_file)),
    }

    def evaluate(metric: Any) -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            metric.process({}, samples)
            value: float = metric.evaluate(len(samples))['coco/bbox_mAP']
        return value

    for metric in metrics.values():
        metric.dataset_meta = copy.deepcopy(meta)
    functions = {name: lambda m=metric: evaluate(m) for name, metric in metrics.items()}
    values = {name: function() for name, function in functions.items()}
    # mmdet rounds to three places; a value half-way may be rounded up or down
    assert abs(values['ours'] - values['mmdet']) < 0.0005 + 1e-9, values
    times = milliseconds_in_turn(functions, rounds, warmup=0)
    ours, host = (statistics.median(times[name]) for name in ('ours', 'mmdet'))
    what = f'box metric of {len(samples)} images, predictions to values'
    return Row(what, "mmdet's CocoMetric", ours, host, 'ms')


def random_set(num_images: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO file's content and predictions, about seven objects and a hundred boxes each."""
    rng = np.random.default_rng(0)
    annotations: list[dict[str, Any]] = []
    samples = []
    for image in range(1, num_images + 1):
        count = int(rng.integers(1, 15))
        corners = rng.uniform(0, 400, (count, 2))
        boxes = np.concatenate([corners, rng.exponential(80, (count, 2)) + 4], 1)
        labels = rng.integers(0, CLASSES, count)
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=label + 1,
                    bbox=box,
                    area=box[2] * box[3] * 0.7,
                    iscrowd=int(rng.random() < 0.01),
                )
            )
        meant = rng.integers(0, count, PER_IMAGE)
        found = np.maximum(boxes[meant] + rng.normal(0, 12, (PER_IMAGE, 4)), 1)
        classes = np.where(
            rng.random(PER_IMAGE) < 0.5, labels[meant], rng.integers(0, CLASSES, PER_IMAGE)
        )
        found[:, 2:] += found[:, :2]
        samples.append(
            {
                'img_id': image,
                'ori_shape': (480, 640),
                'pred_instances': {
                    'bboxes': torch.from_numpy(found.astype(np.float32)),
                    'scores': torch.from_numpy(rng.random(PER_IMAGE).astype(np.float32)),
                    'labels': torch.from_numpy(classes),
                },
            }
        )
    images = [dict(id=i, width=640, height=480) for i in range(1, num_images + 1)]
    categories = [dict(id=c, name=f'class {c}') for c in range(1, CLASSES + 1)]
    return dict(info={}, images=images, annotations=annotations, categories=categories), samples


def _detections(samples: list[dict[str, Any]]) -> Detections:
    predicted = [sample['pred_instances'] for sample in samples]
    boxes = np.concatenate([p['bboxes'].numpy() for p in predicted]).astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    return Detections(
        np.repeat([sample['img_id'] for sample in samples], PER_IMAGE),
        np.concatenate([p['labels'].numpy() for p in predicted]) + 1,
        boxes,
        np.concatenate([p['scores'].numpy() for p in predicted]).astype(np.float64),
    )
