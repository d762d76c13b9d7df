"""Parameters and multiply-adds."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn

from mmext.failed_statements import first_line

_PYTHON = 'prim::PythonOp.'  # in a trace, what an autograd function is called
_COMPILED = (_PYTHON, 'torchvision::', 'mmcv::')
# our RoIAlign under its name; transposing pixels into rows is no arithmetic
_KNOWN = {f'{_PYTHON}_PoolRows': 'RoIAlign', f'{_PYTHON}_PixelsToRows': ''}


def _deformable(weight: int) -> Callable[[Sequence[Any], Sequence[Any]], float]:
    """Multiply-adds of a convolution whose ``weight`` is that input, ``[O, I, kh, kw]``."""

    def count(inputs: Sequence[Any], outputs: Sequence[Any]) -> float:
        return float(math.prod(_shape(outputs[0])) * math.prod(_shape(inputs[weight])[1:]))

    return count


def _own_deformable(inputs: Sequence[Any], outputs: Sequence[Any]) -> float:
    """Of :mod:`mmext.functional.deformable_conv`: sampled rows times a matrix."""
    return float(math.prod(_shape(outputs[0])) * _shape(inputs[3])[0])


def _shape(value: Any) -> list[int]:
    sizes: list[int] = value.type().sizes()
    return sizes


# deformable convolutions count as plain ones of the same size do, sampling left out
_HANDLERS = {
    f'{_PYTHON}DeformConv2dFunction': _deformable(2),
    f'{_PYTHON}ModulatedDeformConv2dFunction': _deformable(3),
    f'{_PYTHON}_SampleAndMultiply': _own_deformable,
}


@dataclass(frozen=True)
class Complexity:
    """What a net consists of and what it computes.

    Attributes:
        parameters: all of them, frozen ones too.
        flops: multiply-adds of one picture, None where the net cannot be traced.
        shape: height and width of the padded input that they are of.
        uncounted: autograd functions and compiled operations without a count, with their
            number of calls.
        problem: why there are no flops.
    """

    parameters: int
    flops: float | None
    shape: tuple[int, int]
    uncounted: dict[str, int] = field(default_factory=dict)
    problem: str = ''


def measure_complexity(model: nn.Module, batch: dict[str, Any]) -> Complexity:
    """Count parameters, and multiply-adds by mmengine's analysis of the model's tensor mode.

    Counted are convolutions (deformable ones too), matrix products, linear layers,
    normalisation and interpolation: one multiply-add is one, as in mmdetection's tables. Not
    counted are element-wise arithmetic, operations of mmcv (they are named in the result) and
    what follows the raw outputs.

    Args:
        model: a detector in evaluation mode.
        batch: one prepared picture.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    shape = tuple(batch['inputs'].shape[-2:])
    original = model.forward
    model.forward = partial(original, data_samples=batch['data_samples'])
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')  # the tracer's
            analysis = FlopAnalyzer(model, batch['inputs'])
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            analysis.set_op_handle(**_HANDLERS)
            flops = float(analysis.total())
            skipped = dict(analysis.unsupported_ops())
    except Exception as error:  # of any detector
        problem = f'{type(error).__name__}: {first_line(error)}'
        return Complexity(parameters, None, shape, problem=problem)
    finally:
        del model.forward  # the class's own is seen again
    return Complexity(parameters, flops, shape, _compiled(skipped))


def _compiled(skipped: dict[str, int]) -> dict[str, int]:
    """The operations that are no function of torch, by their short names."""
    named = {
        _KNOWN.get(name, name.removeprefix(_PYTHON)): count
        for name, count in skipped.items()
        if name.startswith(_COMPILED)
    }
    named.pop('', None)
    return named
