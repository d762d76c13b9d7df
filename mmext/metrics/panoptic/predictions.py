"""The panoptic prediction of a data sample: its id map and the classes of its ids."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmext.errors import InputError
from mmext.functional.panoptic_labels import INSTANCE_OFFSET
from mmext.metrics.panoptic import quality as pq


def predicted_map(sample: Mapping[str, Any]) -> pq.IntArray:
    """The predicted ids ``[H, W]`` of a data sample, on the CPU.

    Args:
        sample: with ``pred_panoptic_seg``, whose ``sem_seg`` is ``[1, H, W]``.

    Raises:
        InputError: there is none, or it has another form.
    """
    if 'pred_panoptic_seg' not in sample:
        raise InputError('no pred_panoptic_seg in the data sample: is the model panoptic?')
    ids = sample['pred_panoptic_seg']['sem_seg'].cpu().numpy()  # [1, H, W]
    if ids.ndim != 3 or len(ids) != 1 or ids.dtype.kind not in 'iu':
        raise InputError(
            f'pred_panoptic_seg: expected integers [1, H, W], got {ids.dtype} {ids.shape}'
        )
    return ids[0]


def predicted_labels(
    pred_ids: pq.IntArray, sample: Mapping[str, Any], num_classes: int
) -> pq.IntArray:
    """Class of each predicted segment, ``VOID_LABEL`` where it is void.

    Args:
        pred_ids: label + 1000 x instance number, ``[P]``.
        sample: where they come from; ``ignore_index`` of its ``pred_panoptic_seg`` is void too.
        num_classes: C, the label of void.

    Returns:
        ``[P]``.

    Raises:
        InputError: an id of no class.
    """
    labels = pred_ids % INSTANCE_OFFSET
    is_void = labels == num_classes
    if 'ignore_index' in sample['pred_panoptic_seg']:
        is_void |= labels == sample['pred_panoptic_seg']['ignore_index']
    wrong = pred_ids[((labels > num_classes) & ~is_void) | (pred_ids < 0)]
    if wrong.size:
        raise InputError(
            f'image {sample["img_id"]}: predicted ids {wrong[:8].tolist()} are no '
            f'label + {INSTANCE_OFFSET} x instance number with labels 0 to {num_classes - 1} '
            f'and void {num_classes}'
        )
    return np.where(is_void, pq.VOID_LABEL, labels)


def predicted_tubes(pred_ids: pq.IntArray, pred_labels: pq.IntArray) -> pq.IntArray:
    """Tube of each predicted segment, equal in all frames of a video.

    The instance number of a video model is the track, from 1 and unique in the video. A track
    whose class changes is another tube, as in the submission format of Cityscapes-VPS.

    Args:
        pred_ids: label + 1000 x instance number, ``[P]``.
        pred_labels: ``[P]``, from :func:`predicted_labels`.

    Returns:
        ``[P]``: 0 for void, label + 1 for what has no number, the id for what has one.

    >>> predicted_tubes(np.array([2, 4, 3001]), np.array([2, pq.VOID_LABEL, 1])).tolist()
    [3, 0, 3001]
    """
    tubes = np.where(pred_ids < INSTANCE_OFFSET, pred_labels + 1, pred_ids)
    return np.where(pred_labels == pq.VOID_LABEL, 0, tubes).astype(np.int64)
