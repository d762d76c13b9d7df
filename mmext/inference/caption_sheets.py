"""Where the sentences of a prediction looked, as a sheet."""

from typing import Any

import numpy as np

from mmext.drawing.colors import Picture
from mmext.drawing.word_attention import region_attention, word_attention


def caption_sheet(
    photo: Picture, sample: Any, most: int = 6, min_score: float = 0.3
) -> Picture | None:
    """The sheet of a prediction with captions; None of any other.

    Args:
        photo: RGB ``[H, W, 3]``.
        sample: of the host, as predicted.
        most: regions at most, the best scored first.
        min_score: of regions.
    """
    if getattr(sample, 'pred_caption', None):
        attention = np.asarray(sample.caption_attention.cpu().float().numpy())
        return word_attention(photo, sample.pred_caption, attention)
    found = getattr(sample, 'pred_instances', None)
    if found is None or 'captions' not in found:
        return None
    order = found.scores.argsort(descending=True)[:most].tolist()
    kept = [row for row in order if float(found.scores[row]) >= min_score]
    return region_attention(
        photo,
        found.bboxes[kept].cpu().float().tolist(),
        [found.captions[row] for row in kept],
        [np.asarray(found.attention[row].cpu().float().numpy()) for row in kept],
    )
