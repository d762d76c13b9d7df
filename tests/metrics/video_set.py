"""A generated video panoptic set with predictions, on disk (for the tests beside this file)."""

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
HEIGHT, WIDTH = 30, 40
LENGTHS = {'b': 5, 'a': 4, 'c': 3}


def write_set(folder: Path, seed: int = 0) -> list[dict[str, Any]]:
    """Writes ``panoptic.json``, ``png/`` and returns the data samples with their predictions.

    Every second frame of video ``a`` has no label. Moving blocks on sky and sea; the
    predictions are shifted, one object changes its id half-way, one crowd.
    """
    rng = np.random.default_rng(seed)
    samples: list[dict[str, Any]] = []
    images, annotations = [], []
    for video, length in LENGTHS.items():
        colours = [int(c) for c in rng.choice(1 << 24, 4, replace=False) + 1]
        corners, speeds = rng.integers(0, 20, (4, 2)), rng.integers(-3, 4, (4, 2))
        for t in range(length):
            image_id = len(images) + 1
            name = f'{video}/{t}.png'
            images.append({'id': image_id, 'file_name': f'{video}/{t}.jpg', 'height': HEIGHT,
                           'width': WIDTH, 'video_id': video, 'frame_id': 10 * t})  # fmt: skip
            truth, ids, segments = _truth(t, colours, corners, speeds)
            pred = _prediction(rng, truth, t)
            path = folder / 'png' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            bgr = np.stack([ids // 65536, ids // 256 % 256, ids % 256], axis=-1).astype(np.uint8)
            cv2.imwrite(str(path), bgr)
            labelled = video != 'a' or t % 2 == 0
            if labelled:
                annotations.append(_annotation(image_id, name, segments, ids))
            samples.append(
                {
                    'img_id': image_id,
                    'video_id': video,
                    'frame_id': 10 * t,
                    'seg_map_path': str(path) if labelled else None,
                    'segments_info': segments if labelled else [],
                    'pred_panoptic_seg': {'sem_seg': torch.from_numpy(pred)[None]},
                }
            )
    categories = [
        {'id': CATEGORY_IDS[label], 'name': CLASSES[label], 'isthing': int(label < 2)}
        for label in (2, 0, 3, 1)
    ]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    (folder / 'panoptic.json').write_text(json.dumps(content))
    return samples


def _truth(t: int, colours: list[int], corners: Any, speeds: Any) -> tuple[Any, Any, Any]:
    """Map as predictions are encoded, map as the PNG has it, segments."""
    encoded = np.full((HEIGHT, WIDTH), 2)
    encoded[HEIGHT // 2 :] = 3
    for n in range(4):
        y, x = np.maximum(corners[n] + t * speeds[n], 0)
        encoded[y : y + 9, x : x + 8 + n] = n % 2 + 1000 * (n + 1)
    encoded[:, :4] = VOID
    ids, segments = np.zeros_like(encoded), []
    for value in np.unique(encoded[encoded != VOID]).tolist():
        colour = 100 + value if value < 1000 else colours[value // 1000 - 1]
        ids[encoded == value] = colour
        crowd = value == 4001
        segments.append({'id': colour, 'category': value % 1000, 'iscrowd': crowd,
                         'is_thing': value >= 1000 and not crowd})  # fmt: skip
    return encoded, ids, segments


def _prediction(rng: np.random.Generator, truth: Any, t: int) -> Any:
    """A shifted copy, its instance numbers the tracks; one track changes its number."""
    pred = np.roll(truth, rng.integers(-1, 2, 2), axis=(0, 1))
    tracks = pred // 1000
    return pred % 1000 + 1000 * (5 * tracks + ((tracks == 2) & (t > 2)))


def _annotation(image_id: int, name: str, segments: Any, ids: Any) -> dict[str, Any]:
    return {
        'image_id': image_id,
        'file_name': name,
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
