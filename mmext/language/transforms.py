"""What objects are told apart by besides their class: tags, measured after ``PackDetInputs``.

Shape legend: n objects, W words, ``h x w`` the image.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmext.errors import InputError
from mmext.language.measured_tags import COLORS, color_of, ground_below
from mmext.language.table import plain_name
from mmext.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MeasureTags(BaseTransform):
    """Adds ``tags`` ``[n, W]`` to ``gt_instances``: class, color, and what lies below, as measured.

    The words are those of the classifier, in its order. A class is a tag if it is among them; the
    color is the one nearest to the median of the object's pixels; the ground is the stuff class
    that covers most of the strip below the object, where the sample has a semantic map.

    Args:
        words: W names.
        classes: names of the labels; those of the semantic map come after the things, as the data
            set has them.

    Raises:
        InputError: objects without masks.
    """

    def __init__(self, words: Sequence[str], classes: Sequence[str]) -> None:
        self.words = [plain_name(word) for word in words]
        self.classes = [plain_name(name) for name in classes]
        self.colors = [color for color in COLORS if color in self.words]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Measure the tags of a packed sample."""
        sample = results['data_samples']
        truth = sample.gt_instances
        tags = torch.zeros(len(truth), len(self.words), dtype=torch.bool)
        if len(truth) and 'masks' not in truth:
            raise InputError('mmext.MeasureTags needs masks: LoadAnnotations(with_mask=True)')
        image = np.ascontiguousarray(results['inputs'].numpy().transpose(1, 2, 0))  # BGR [h, w, 3]
        ground = sample.gt_sem_seg.sem_seg[0].numpy() if 'gt_sem_seg' in sample else None
        for number in range(len(truth)):
            mask = truth.masks.masks[number].astype(bool)
            said = [self.classes[int(truth.labels[number])]]
            if self.colors and mask.any():
                said.append(color_of(image[mask], self.colors))
            below = -1 if ground is None else ground_below(mask, ground)
            if 0 <= below < len(self.classes):
                said.append(self.classes[below])
            for word in said:
                if word in self.words:
                    tags[number, self.words.index(word)] = True
        truth.tags = tags
        return results
