"""Data samples for the metric of sentences about regions."""

from typing import Any

import torch


def sample_of(
    image: int, boxes: list, said: list[str], true: list[tuple[list, str]]
) -> dict[str, Any]:
    """What a metric gets of an image."""
    predicted = dict(bboxes=torch.tensor(boxes).reshape(-1, 4), captions=said)
    return dict(img_id=image, pred_instances=predicted, region_captions=true)
