"""Fields of data samples as numpy arrays."""

from typing import Any

import numpy as np


def to_numpy(values: Any) -> np.ndarray:
    """An array of a tensor on any device and of any type, of the host's boxes, or of an array."""
    values = getattr(values, 'tensor', values)
    if hasattr(values, 'detach'):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values  # numpy has no bfloat16
    return np.asarray(values)
