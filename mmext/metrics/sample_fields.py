"""Fields of data samples and what a data set says about its labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def to_numpy(values: Any) -> np.ndarray:
    """The values as an array of the same shape ``[...]``.

    Args:
        values: a tensor on any device and of any type, boxes of the host, or an array.
    """
    values = getattr(values, 'tensor', values)
    if hasattr(values, 'detach'):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values  # numpy has no bfloat16
    return np.asarray(values)


def numbers_labels_by_name(meta: Mapping[str, Any]) -> bool:
    """Whether a data set finds its labels by the names of the classes.

    Those of this package do. mmdet's ``CocoDataset`` numbers them in the order of the annotation
    file, so that the classes must come in that order.

    Args:
        meta: ``metainfo`` of the data set.
    """
    return 'category_ids' in meta or 'thing_classes' in meta
