"""Nested values from half precision to float32."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

LOW_DTYPES = (torch.float16, torch.bfloat16)


def cast_tensors(value: Any, sources: tuple[torch.dtype, ...], target: torch.dtype) -> Any:
    """Casts the tensors of some dtypes in a nest of lists, tuples and dicts.

    Data samples and other data elements are changed in place. What holds no such tensor is
    returned itself, not a copy.
    """
    return _map_tensors(value, lambda x: x.to(target) if x.dtype in sources else x)


def to_float32(value: Any) -> Any:
    """Half precision tensors in a nest as float32, see :func:`cast_tensors`."""
    return cast_tensors(value, LOW_DTYPES, torch.float32)


def to_contiguous_float32(value: Any) -> Any:
    """As :func:`to_float32`, in the memory format that kernels and ``Tensor.view`` assume."""
    return _map_tensors(value, lambda x: (x.float() if x.dtype in LOW_DTYPES else x).contiguous())


def _map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, BaseDataElement):
        for name, item in value.items():
            changed = _map_tensors(item, change)
            if changed is not item:
                setattr(value, name, changed)
        return value
    if isinstance(value, Mapping):
        items = {key: _map_tensors(item, change) for key, item in value.items()}
        same = all(items[key] is item for key, item in value.items())
        return value if same else type(value)(items)  # type: ignore[call-arg]
    if isinstance(value, list | tuple):
        mapped = [_map_tensors(item, change) for item in value]
        if all(a is b for a, b in zip(mapped, value, strict=True)):
            return value
        return type(value)(*mapped) if hasattr(value, '_fields') else type(value)(mapped)
    return value
