"""The key points of an annotation of a COCO file: are they numbers, and as many as expected?

Format: https://cocodataset.org/#format-data, "Keypoint Detection".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError

_REMEDY = 'correct it, or take its keypoints out'


def key_points(annotation: Mapping[str, Any], where: str) -> NDArray[np.float64] | None:
    """x, y and visibility of each point, ``[K, 3]``; None without any.

    Args:
        annotation: of a person, or whatever else has points.
        where: names it in errors.

    Raises:
        InputError: they are no numbers in threes, not finite, or of a visibility that is not 0, 1
            or 2.
    """
    written = annotation.get('keypoints')
    if not written:
        return None
    try:
        values = np.asarray(written, np.float64).reshape(-1, 3)
    except (TypeError, ValueError):
        raise InputError(f'{where}: keypoints: expected numbers in threes; {_REMEDY}') from None
    wrong = ~np.isfinite(values).all(1) | ~np.isin(values[:, 2], (0, 1, 2))
    if wrong.any():
        number = int(wrong.argmax())
        raise InputError(
            f'{where}: keypoints: expected finite x, y and visibility 0, 1 or 2, got '
            f'{values[number].tolist()} of point {number}; {_REMEDY}'
        )
    return values
