"""What is said of objects: tags and sentences, measured on their pixels.

Shape legend: n objects, W words, ``h x w`` the image.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmcv.transforms import BaseTransform

from mmext.errors import InputError
from mmext.language.measured_tags import COLORS, Tags, tags_of
from mmext.language.sentences import image_sentence, region_sentence
from mmext.language.table import plain_name
from mmext.registry import TRANSFORMS


class _Measuring(BaseTransform):
    """What both transforms know of words and classes."""

    def __init__(
        self, words: Sequence[str], classes: Sequence[str], grounds: Sequence[str] | None
    ) -> None:
        self.words = [plain_name(word) for word in words]
        self.classes = [plain_name(name) for name in classes]
        self.colors = [color for color in COLORS if color in self.words]
        self.grounds = None if grounds is None else [plain_name(name) for name in grounds]

    def measure(
        self,
        image: npt.NDArray[np.uint8],
        masks: npt.NDArray[Any],
        labels: Sequence[int],
        ground: npt.NDArray[Any] | None,
    ) -> list[Tags]:
        """Tags of objects: BGR ``[h, w, 3]``, masks ``[n, h, w]``, semantic map ``[h, w]``."""
        return [
            tags_of(
                *(image, mask.astype(bool), self.classes[label], self.classes, ground),
                *(self.colors, self.grounds),
            )
            for mask, label in zip(masks, labels, strict=True)
        ]


@TRANSFORMS.register_module()
class MeasureTags(_Measuring):
    """Adds ``tags`` ``[n, W]`` to ``gt_instances`` of a packed sample: class, color, ground.

    The words are those of the classifier, in its order; what is not among them is no tag. The
    color is the one nearest to the median of the object's pixels; the ground is the class of the
    semantic map, where the sample has one, that covers most of the strip below the object.

    Args:
        words: W names.
        classes: names of the labels; those of the semantic map come after the things, as the
            data set has them.
        grounds: the classes that something can stand on; None: all.
        captions: also add ``captions``, a sentence of the tags of each object, and put
            ``gt_caption`` of the image into the meta.

    Raises:
        InputError: objects without masks.
    """

    def __init__(
        self,
        words: Sequence[str],
        classes: Sequence[str],
        grounds: Sequence[str] | None = None,
        captions: bool = False,
    ) -> None:
        super().__init__(words, classes, grounds)
        self.captions = captions

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Measure the tags of a packed sample."""
        sample = results['data_samples']
        truth = sample.gt_instances
        if len(truth) and 'masks' not in truth:
            raise InputError('mmext.MeasureTags needs masks: LoadAnnotations(with_mask=True)')
        image = np.ascontiguousarray(results['inputs'].numpy().transpose(1, 2, 0))
        ground = sample.gt_sem_seg.sem_seg[0].numpy() if 'gt_sem_seg' in sample else None
        masks = truth.masks.masks if len(truth) else np.zeros((0, 1, 1))
        found = self.measure(image, masks, truth.labels.tolist(), ground)
        truth.tags = torch.zeros(len(truth), len(self.words), dtype=torch.bool)
        for row, tags in enumerate(found):
            for word in tags:
                if word in self.words:
                    truth.tags[row, self.words.index(word)] = True
        if self.captions:
            truth.captions = [region_sentence(tags) for tags in found]
            corners = getattr(truth.bboxes, 'tensor', truth.bboxes)
            left = corners[:, 0].tolist() if len(truth) else []
            sample.set_metainfo({'gt_caption': image_sentence(found, left)})
        return results


@TRANSFORMS.register_module()
class RegionCaptions(_Measuring):
    """Puts the sentences that are true of an image into the results, at the image's own size.

    For evaluation, before anything changes the image's size: ``region_captions`` (a list of
    ``(box, sentence)``, x1, y1, x2, y2 px), ``region_tags`` (of ``(box, words)``) and
    ``gt_caption``, keys for the ``meta_keys`` of ``PackDetInputs``. An image of which no
    annotation was loaded, as in predictions, stays as it is.

    Args:
        words: with the colors among them.
        classes: as of :class:`MeasureTags`.
        grounds: as of :class:`MeasureTags`.
    """

    def __init__(
        self, words: Sequence[str], classes: Sequence[str], grounds: Sequence[str] | None = None
    ) -> None:
        super().__init__(words, classes, grounds)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the sentences."""
        if 'gt_bboxes' not in results:
            return results
        if 'gt_masks' not in results:
            raise InputError('mmext.RegionCaptions needs masks: LoadAnnotations(with_mask=True)')
        kept = np.flatnonzero(~np.asarray(results['gt_ignore_flags'], bool))
        boxes = results['gt_bboxes']
        boxes = np.asarray(boxes.tensor if hasattr(boxes, 'tensor') else boxes)
        labels = np.asarray(results['gt_bboxes_labels'])[kept].tolist()
        found = self.measure(
            results['img'], results['gt_masks'].masks[kept], labels, results.get('gt_seg_map')
        )
        corners = boxes[kept].tolist()
        results['region_captions'] = [
            (box, region_sentence(tags)) for box, tags in zip(corners, found, strict=True)
        ]
        results['region_tags'] = [
            (box, [word for word in tags if word]) for box, tags in zip(corners, found, strict=True)
        ]
        results['gt_caption'] = image_sentence(found, [box[0] for box in corners])
        return results
