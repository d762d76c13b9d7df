"""How the tensors of a batch get from a data worker to the training: small ones by value.

torch lays each tensor into a file of its own in shared memory and sends its descriptor. That costs
a part of a millisecond a tensor, however small it is, and a batch of 32 samples with boxes, labels
and points is 300 tensors.
"""

from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.reductions import reduce_tensor

SMALL_BYTES = 2**18
"""Up to here a copy through the pipe is cheaper than a file."""

_FLOATS = torch.float64, torch.float32, torch.float16
_WHOLE = torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64
_DTYPES = frozenset((*_FLOATS, *_WHOLE))  # numpy knows them, not bfloat16


def send_small_by_value() -> None:
    """From now on this process sends plain tensors of up to ``SMALL_BYTES`` as their values.

    A tensor that shares its memory already, and one whose gradient is wanted, goes as torch sends
    it.
    """
    ForkingPickler.register(Tensor, _reduced)


def _reduced(tensor: Tensor) -> tuple[Any, ...]:
    is_plain = (
        tensor.layout is torch.strided
        and tensor.device.type == 'cpu'
        and tensor.dtype in _DTYPES
        and not (tensor.requires_grad or tensor.is_neg())
    )
    if not is_plain or tensor.nbytes > SMALL_BYTES or tensor.is_shared():
        reduced: tuple[Any, ...] = reduce_tensor(tensor)
        return reduced
    return _rebuilt, (tensor.numpy(),)


def _rebuilt(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values)
