"""Copy-paste: crops of objects, real or made, in the pictures of a detector's training.

Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation",
CVPR 2021; here what is pasted comes from a file of crops, and is of the classes that lack examples.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from mmext.errors import InputError
from mmext.registry import TRANSFORMS
from mmext.translation.crop_bank import pasted, read_crops

_TRIES = 10


@TRANSFORMS.register_module()
class PasteCrops(BaseTransform):
    """Lays objects over a picture and adds them to its boxes, masks and semantic map.

    Before transforms that change the size, after the annotations are loaded. A place where another
    object would lose more than it may is not taken; boxes of partly covered ones shrink with their
    masks. Without masks in the sample, objects are not laid over others by more than ``max_cover``
    of their boxes.

    Args:
        crops: an ``.npz`` of :mod:`.crop_bank`.
        only: names of the classes that are pasted; None: all.
        classes: names of the data set's labels; None: those of the file.
        count: fewest and most objects a picture.
        size: px of the square crop, smallest and largest.
        prob: share of the pictures.
        max_cover: share of an object that another may hide.

    Raises:
        MissingFileError: no file there.
        InputError: a class that the file or the data set does not have.
    """

    def __init__(
        self,
        crops: str,
        only: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        count: tuple[int, int] = (1, 2),
        size: tuple[int, int] = (24, 64),
        prob: float = 0.5,
        max_cover: float = 0.4,
    ) -> None:
        bank = read_crops(crops)
        self.bank = bank if only is None else bank.of_classes(only)
        names = list(bank.classes if classes is None else classes)
        used = [bank.classes[label] for label in np.unique(self.bank.labels)]
        strange = [name for name in used if name not in names]
        if strange:
            raise InputError(f'PasteCrops: crops of {strange[0]!r}; the data set has {names}')
        self.labels = np.array(
            [names.index(bank.classes[label]) for label in self.bank.labels], np.int64
        )
        self.count, self.size, self.prob, self.max_cover = count, size, prob, max_cover

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paste into a loaded sample."""
        if np.random.random() >= self.prob:
            return results
        for _ in range(np.random.randint(self.count[0], self.count[1] + 1)):
            number = np.random.randint(len(self.labels))
            side = int(np.random.randint(self.size[0], self.size[1] + 1))
            crop = cv2.resize(self.bank.crops[number], (side, side), interpolation=cv2.INTER_LINEAR)
            self._paste(results, crop, int(self.labels[number]))
        return results

    def _paste(self, results: dict[str, Any], crop: Any, label: int) -> None:
        height, width = results['img'].shape[:2]
        side = len(crop)
        bgra = np.ascontiguousarray(crop[..., [2, 1, 0, 3]])
        for _ in range(_TRIES):
            left = int(np.random.randint(-side // 4, max(width - 3 * side // 4, 1)))
            top = int(np.random.randint(-side // 4, max(height - 3 * side // 4, 1)))
            image, covered = pasted(results['img'], bgra, left, top)
            if covered.any() and self._leaves_enough(results, covered):
                results['img'] = image
                _annotate(results, covered, label)
                return

    def _leaves_enough(self, results: dict[str, Any], covered: Any) -> bool:
        if 'gt_masks' in results:
            masks = results['gt_masks'].masks.astype(bool)
        else:
            corners = np.round(_corners(results)).astype(int).clip(0)
            masks = np.zeros((len(corners), *covered.shape), bool)
            for mask, (x1, y1, x2, y2) in zip(masks, corners, strict=True):
                mask[y1:y2, x1:x2] = True
        hidden = (masks & covered).sum((1, 2))
        return bool((hidden <= self.max_cover * masks.sum((1, 2))).all())


def _corners(results: dict[str, Any]) -> Any:
    """Boxes ``[n, 4]``, x1 y1 x2 y2."""
    boxes = results['gt_bboxes']
    return np.asarray(boxes.tensor if hasattr(boxes, 'tensor') else boxes, np.float32)


def _annotate(results: dict[str, Any], covered: Any, label: int) -> None:
    """Add an object with the mask ``[h, w]`` to a sample; what it hides shrinks."""
    ys, xs = np.nonzero(covered)
    own = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
    corners = _corners(results).reshape(-1, 4)
    if 'gt_masks' in results:
        masks = results['gt_masks'].masks * ~covered
        cut = (masks != results['gt_masks'].masks).any((1, 2))
        seen = BitmapMasks(masks.astype(np.uint8), *covered.shape)
        corners = np.where(cut[:, None], seen.get_bboxes('hbox').tensor.numpy(), corners)
        both = np.concatenate([seen.masks, covered[None].astype(np.uint8)])
        results['gt_masks'] = BitmapMasks(both, *covered.shape)
    corners = np.concatenate([corners, own]).astype(np.float32)
    host_boxes = hasattr(results['gt_bboxes'], 'tensor')
    results['gt_bboxes'] = HorizontalBoxes(corners) if host_boxes else corners
    results['gt_bboxes_labels'] = np.append(results['gt_bboxes_labels'], label)
    if 'gt_ignore_flags' in results:
        results['gt_ignore_flags'] = np.append(results['gt_ignore_flags'], False)
    if 'gt_seg_map' in results:
        semantic = results['gt_seg_map'].copy()
        semantic[covered] = label
        results['gt_seg_map'] = semantic
