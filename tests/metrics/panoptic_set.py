"""A generated COCO panoptic set with predictions, on disk (for the tests beside this file)."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

CLASSES = ['cat', 'dog', 'sky', 'sea']
META = {'classes': CLASSES, 'thing_classes': CLASSES[:2], 'stuff_classes': CLASSES[2:]}
CATEGORY_IDS = [17, 18, 3, 1]  # of the labels; the file lists them in its own order
VOID = len(CLASSES)


def write_set(folder: Path, count: int = 5, seed: int = 0) -> list[dict[str, Any]]:
    """Writes ``panoptic.json``, ``png/`` and returns the data samples with their predictions."""
    rng = np.random.default_rng(seed)
    (folder / 'png').mkdir(parents=True)
    annotations, samples = [], []
    for image_id in range(1, count + 1):
        ids, pred, segments = _scene(rng, crowd=image_id % 2 == 0)
        name = f'png/scene.{image_id}.png'
        bgr = np.stack([ids // 65536, ids // 256 % 256, ids % 256], axis=-1).astype(np.uint8)
        cv2.imwrite(str(folder / name), bgr)
        annotations.append(
            {
                'image_id': image_id,
                'file_name': Path(name).name,
                'segments_info': [
                    {
                        'id': s['id'],
                        'category_id': CATEGORY_IDS[s['category']],
                        'iscrowd': int(s['iscrowd']),
                        'area': int((ids == s['id']).sum()),
                        'bbox': [0, 0, 9, 9],
                    }
                    for s in segments
                ],
            }
        )
        samples.append(
            {
                'img_id': image_id,
                'img_path': f'folder_{image_id}/same.jpeg',  # equal basenames
                'seg_map_path': str(folder / name),
                'segments_info': segments,
                'pred_panoptic_seg': {'sem_seg': torch.from_numpy(pred)[None]},
            }
        )
    categories = [
        {'id': CATEGORY_IDS[label], 'name': CLASSES[label], 'isthing': int(label < 2)}
        for label in (2, 0, 3, 1)
    ]
    images = [{'id': a['image_id'], 'file_name': 'x.jpg'} for a in annotations]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    (folder / 'panoptic.json').write_text(json.dumps(content))
    return samples


def _scene(
    rng: np.random.Generator, crowd: bool
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Blocks on two kinds of stuff and a strip of void; the prediction is moved and relabelled."""
    height, width = (int(n) for n in rng.integers(30, 60, 2))
    encoded = np.full((height, width), 2)
    encoded[height // 2 :] = 3
    for number in range(1, 6):
        y, x = int(rng.integers(height - 8)), int(rng.integers(width - 8))
        h, w = rng.integers(6, 20, 2)
        encoded[y : y + h, x : x + w] = number % 2 + 1000 * number
    encoded[:, : width // 8] = VOID
    ids, segments = np.zeros_like(encoded), []
    for value in np.unique(encoded[encoded != VOID]).tolist():
        colour = int(rng.integers(1, 1 << 24))
        ids[encoded == value] = colour
        is_crowd = crowd and value == 5001
        segments.append(
            {
                'id': colour,
                'category': value % 1000,
                'is_thing': value >= 1000 and not is_crowd,
                'iscrowd': is_crowd,
            }
        )
    pred = np.roll(encoded, rng.integers(-2, 3, 2), axis=(0, 1))
    pred[pred == 2001] = 7001 if rng.random() < 0.5 else 8000  # one of them a wrong class
    return ids, pred, segments
