"""Random annotations and detections in COCO's formats: crowds, empty images, absent classes."""

from typing import Any

import numpy as np
import torch
from pycocotools import mask as run_lengths

HEIGHT, WIDTH = 200, 220
CATEGORIES = [{'id': i, 'name': n} for i, n in ((7, 'cat'), (3, 'traffic light'), (9, 'a,b/c'))]
META = {'classes': ('cat', 'traffic light', 'a,b/c')}
CATEGORY_OF_LABEL = [7, 3, 9]  # not sorted, as the engines sort them


def ellipse(box_xywh: np.ndarray) -> np.ndarray:
    """The mask of an ellipse in a box."""
    x, y, w, h = box_xywh
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return ((columns - x - w / 2) * 2 / w) ** 2 + ((rows - y - h / 2) * 2 / h) ** 2 <= 1


def encode(box_xywh: np.ndarray) -> dict[str, Any]:
    """The same as a run-length code."""
    code = run_lengths.encode(np.asfortranarray(ellipse(box_xywh).astype(np.uint8)))
    return {**code, 'counts': code['counts'].decode()}


def random_set(seed: int, num_images: int = 12) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO file's content and data samples with predictions."""
    rng = np.random.default_rng(seed)
    images = [
        dict(id=5 + 3 * i, width=WIDTH, height=HEIGHT, file_name=f'{i}.jpg')
        for i in range(num_images)
    ]
    annotations: list[dict[str, Any]] = []
    samples = []
    for image in images:
        boxes, labels = [], []
        for _ in range(int(rng.integers(0, 7))):
            side = rng.choice([20, 60, 160])
            box = np.r_[rng.uniform(0, 40, 2), rng.uniform(0.3, 1, 2) * side]
            label = int(rng.choice([0, 0, 1]))  # one class is never annotated
            code = encode(box)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image['id'],
                    category_id=CATEGORY_OF_LABEL[label],
                    bbox=box.tolist(),
                    area=float(run_lengths.area(code)),
                    iscrowd=int(rng.random() < 0.2),
                    segmentation=code,
                )
            )
            for _ in range(int(rng.integers(0, 4))):
                boxes.append(np.maximum(box + rng.normal(0, side / 15, 4), 1))
                labels.append(label if rng.random() < 0.8 else int(rng.integers(3)))
        samples.append(_sample(rng, image, np.array(boxes).reshape(-1, 4), labels))
    content = dict(images=images, annotations=annotations, categories=CATEGORIES)
    return content, samples


def _sample(
    rng: np.random.Generator, image: dict[str, Any], boxes: np.ndarray, labels: list[int]
) -> dict[str, Any]:
    xyxy = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    masks = [ellipse(box) for box in boxes]
    predicted = {
        'bboxes': torch.tensor(xyxy, dtype=torch.float32),
        'labels': torch.tensor(labels, dtype=torch.long),
        'scores': torch.tensor(rng.random(len(boxes)), dtype=torch.float32),
        'masks': torch.tensor(np.array(masks).reshape(-1, HEIGHT, WIDTH)).bool(),
    }
    return {'img_id': image['id'], 'ori_shape': (HEIGHT, WIDTH), 'pred_instances': predicted}


def with_instances(content: dict[str, Any], sample: dict[str, Any]) -> dict[str, Any]:
    """The sample with its truth, as a data set of mmdet packs it."""
    instances = []
    for annotation in content['annotations']:
        if annotation['image_id'] == sample['img_id']:
            x, y, w, h = annotation['bbox']
            instances.append(
                dict(
                    bbox=[x, y, x + w, y + h],
                    bbox_label=CATEGORY_OF_LABEL.index(annotation['category_id']),
                    ignore_flag=annotation['iscrowd'],
                    mask=annotation['segmentation'],
                )
            )
    return {**sample, 'instances': instances}
