"""Nested values in float32."""

from typing import NamedTuple

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmext.hooks.mixed_precision.casting import (
    cast_tensors,
    to_contiguous_float32,
    to_float32,
)


class Pair(NamedTuple):
    """A named tuple, as some heads return."""

    a: torch.Tensor
    b: int


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_wherever_it_is(dtype: torch.dtype) -> None:
    half = torch.tensor([1.5], dtype=dtype)
    cast = to_float32({'a': [half, (half,)], 'b': Pair(half, 3)})
    assert cast['a'][0].dtype == cast['a'][1][0].dtype == cast['b'].a.dtype == torch.float32
    assert isinstance(cast['b'], Pair) and cast['b'].b == 3
    assert float(cast['a'][0]) == 1.5
    assert half.dtype == dtype


def test_other_dtypes_stay() -> None:
    double, label, flag = torch.ones(1, dtype=torch.float64), torch.tensor([1]), torch.tensor(True)
    assert to_float32([double, label, flag, None, 'text', 3]) == [
        double,
        label,
        flag,
        None,
        'text',
        3,
    ]


def test_without_half_precision_the_value_itself_comes_back() -> None:
    value = {'a': [torch.ones(1), (1, 2)], 'b': InstanceData(x=torch.ones(2))}
    assert to_float32(value) is value


def test_data_samples_change_in_place() -> None:
    sample = DetDataSample()
    sample.pred_instances = InstanceData(scores=torch.ones(2).half(), labels=torch.ones(2).long())
    sample.pred_sem_seg = PixelData(sem_seg=torch.ones(1, 2, 2, dtype=torch.bfloat16))
    (cast,) = to_float32([sample])
    assert cast is sample
    assert sample.pred_instances.scores.dtype == sample.pred_sem_seg.sem_seg.dtype == torch.float32
    assert sample.pred_instances.labels.dtype == torch.long


def test_gradient_goes_through_the_cast() -> None:
    half = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    to_float32([half])[0].sum().backward()
    assert half.grad is not None and half.grad.dtype == torch.bfloat16


def test_cast_down() -> None:
    (cast,) = cast_tensors((torch.ones(1),), (torch.float32,), torch.bfloat16)
    assert cast.dtype == torch.bfloat16


def test_contiguous() -> None:
    image = torch.rand(1, 3, 4, 5).to(memory_format=torch.channels_last).bfloat16()
    cast = to_contiguous_float32([image])[0]
    assert cast.is_contiguous() and cast.dtype == torch.float32
    assert torch.equal(cast, image.float())
