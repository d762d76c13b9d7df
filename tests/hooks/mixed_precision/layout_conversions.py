"""Counts what turns maps from channels-last into channels-first memory, or back."""

import traceback
from collections import Counter
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LayoutConversions(TorchDispatchMode):
    """Operations that return a map of the size of an input in the other memory order.

    Attributes:
        places: how often, by operation and the line of ours or the host's that called it; what
            runs in the backward pass has no such line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> 'LayoutConversions':
        super().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_contiguous() != _is_last(result):
            sources = [t for t in tree_leaves((args, kwargs)) if _is_map(t)]
            turned = [
                t for t in sources if t.shape == result.shape and _is_last(t) != _is_last(result)
            ]
            if turned and not any(_same_memory(result, t) for t in tree_leaves((args, kwargs))):
                self.places[str(func), _caller()] += 1
        return result


def _is_map(value: Any) -> bool:
    """Whether its memory order is one or the other, not both."""
    return (
        isinstance(value, Tensor)
        and value.dim() == 4
        and not value.is_mkldnn
        and (value.is_contiguous() != _is_last(value))
    )


def _same_memory(result: Tensor, value: Any) -> bool:
    """Whether a result is a view of a value, which costs nothing."""
    return (
        isinstance(value, Tensor)
        and not value.is_mkldnn  # a packed weight, whose memory is oneDNN's
        and value.untyped_storage().data_ptr() == result.untyped_storage().data_ptr()
    )


def _is_last(value: Tensor) -> bool:
    return value.dim() == 4 and value.is_contiguous(memory_format=torch.channels_last)


def _caller() -> str:
    for frame in reversed(traceback.extract_stack()):
        if any(part in frame.filename for part in ('/mmext/', '/mmdet/', '/mmcv/')):
            return f'{frame.filename.rpartition("/")[2]}:{frame.name}'
    return ''
