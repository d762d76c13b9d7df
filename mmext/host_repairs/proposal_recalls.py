"""Recall of proposals, for images that have different numbers of objects.

Host: ``mmdet.evaluation.functional.eval_recalls``, which evaluates RPN (``proposal_fast``).
Fault: it makes one array of the overlaps of all images, whose shapes differ; numpy refuses that
from 1.24 on with "inhomogeneous shape". Seen with mmdet 3.3.0 to 3.5.1.
Repair: the host's function evaluates one image at a time, and the objects found are added up.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mmdet.evaluation import functional
from mmdet.evaluation.functional.recall import print_recall_summary, set_recall_param

from mmext.errors import InputError
from mmext.host_repairs.rebinding import rebind

_SILENT = 'silent'  # mmengine's name for a logger that says nothing
Array = npt.NDArray[Any]


def repair() -> None:
    """Mend it, if it is broken."""
    if is_faulty(functional.eval_recalls):
        rebind(functional.eval_recalls, _by_image(functional.eval_recalls))


def is_faulty(eval_recalls: Callable[..., Any]) -> bool:
    """Whether the function cannot evaluate images with one and with two objects."""
    truths = [np.zeros((1, 4), np.float32), np.zeros((2, 4), np.float32)]
    proposals = [np.zeros((1, 5), np.float32)] * 2
    try:
        eval_recalls(truths, proposals, [1], [0.5], logger=_SILENT)
    except ValueError:
        return True
    return False


def _by_image(eval_recalls: Callable[..., Array]) -> Callable[..., Array]:
    def eval_recalls_by_image(
        gts: Sequence[Array | None],
        proposals: Sequence[Array],
        proposal_nums: int | Sequence[int] | Array | None = None,
        iou_thrs: float | Sequence[float] | Array | None = 0.5,
        logger: Any = None,
        use_legacy_coordinate: bool = False,
    ) -> Array:
        if len(gts) != len(proposals):
            raise InputError(
                f'recall of proposals: the annotation file has {len(gts)} images, '
                f'{len(proposals)} were predicted; evaluate all (no `indices` of the data set)'
            )
        counts, thresholds = set_recall_param(proposal_nums, iou_thrs)
        found = np.zeros((counts.size, thresholds.size))
        total = 0
        for truth, candidates in zip(gts, proposals, strict=True):
            if truth is None or not len(truth):
                continue
            recalls = eval_recalls(
                [truth], [candidates], counts, thresholds, _SILENT, use_legacy_coordinate
            )
            found += np.rint(recalls * len(truth))  # objects, a whole number of them
            total += len(truth)
        recalls = found / total if total else np.full_like(found, np.nan)
        print_recall_summary(recalls, counts, thresholds, logger=logger)
        return recalls

    return eval_recalls_by_image
