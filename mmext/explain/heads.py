"""The raw outputs of a detector's heads, recorded while it predicts.

The cut: :func:`recorded` can hand the decoding a copy of each output that begins a new graph. The
derivatives of a final score with respect to these outputs then cost microseconds, and no graph of
the backbone is kept.
"""

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from mmdet.models.utils import misc
from torch import Tensor, nn

from mmext.explain.detectors import raw_heads
from mmext.explain.score_rules import Key


class Reached(Exception):  # noqa: N818 - a way out, no error
    """All outputs that were asked for are there: the rest of the prediction is not needed."""


class Record:
    """What was put out.

    Attributes:
        outputs: the raw tensors.
        rois: the regions ``[R, 5]`` that the second stage saw first, if any.
    """

    def __init__(self) -> None:
        self.outputs: dict[Key, Tensor] = {}
        self.rois: Tensor | None = None
        self._calls: dict[str, int] = {}

    def note_call(self, module: str) -> int:
        """How often the module had been called before."""
        number = self._calls.get(module, 0)
        self._calls[module] = number + 1
        return number


@contextmanager
def recorded(model: nn.Module, cut: bool, needed: Collection[Key] = ()) -> Iterator[Record]:
    """Record the raw outputs of the heads of a prediction.

    Args:
        model: the detector.
        cut: the outputs become leaves of a new graph, and gradients are on from the first on.
        needed: end the prediction with :class:`Reached` once these are there; empty: never.
    """
    record, wanted = Record(), set(needed)

    def hook(name: str) -> Callable[..., Any]:
        def note(module: nn.Module, args: Any, output: Any) -> Any:
            call = record.note_call(name)
            position = 0

            def take(tensor: Tensor) -> Tensor:
                nonlocal position
                key = Key(name, call, position)
                position += 1
                if not tensor.is_floating_point():
                    return tensor
                if cut:
                    torch.set_grad_enabled(True)
                    tensor = tensor.detach().requires_grad_()
                record.outputs[key] = tensor
                return tensor.clone()  # what is done to it in place stays outside of the record

            replaced = mapped(output, take)
            if wanted and record.outputs.keys() >= wanted:
                raise Reached
            return replaced

        return note

    def note_rois(module: nn.Module, args: Any, kwargs: Any) -> None:
        rois = kwargs.get('rois', args[1] if len(args) > 1 else None)
        if record.rois is None and isinstance(rois, Tensor):
            record.rois = rois.detach()

    with ExitStack() as stack:
        for name, module in raw_heads(model).items():
            stack.callback(module.register_forward_hook(hook(name)).remove)
        extractor = getattr(getattr(model, 'roi_head', None), 'bbox_roi_extractor', None)
        first = extractor[0] if isinstance(extractor, nn.ModuleList) else extractor
        if first is not None:
            handle = first.register_forward_pre_hook(note_rois, with_kwargs=True)
            stack.callback(handle.remove)
        yield record


def derivatives(value: Tensor, record: Record) -> dict[Key, Tensor]:
    """The derivatives of a number ``[]`` with respect to the outputs, where they are not 0."""
    if not value.requires_grad:
        return {}
    found = torch.autograd.grad(
        value, list(record.outputs.values()), retain_graph=True, allow_unused=True
    )
    return {
        key: slope
        for key, slope in zip(record.outputs, found, strict=True)
        if slope is not None and slope.any()
    }


def mapped(node: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nest of lists, tuples and dicts with its tensors changed, in their order."""
    if isinstance(node, Tensor):
        return change(node)
    if isinstance(node, dict):
        return type(node)((key, mapped(value, change)) for key, value in node.items())
    if isinstance(node, tuple) and hasattr(node, '_fields'):
        return type(node)(*(mapped(value, change) for value in node))
    if isinstance(node, list | tuple):
        return type(node)(mapped(value, change) for value in node)
    return node


def tensors_of(node: Any) -> list[Tensor]:
    """The tensors of such a nest, in their order."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(node, keep)
    return found


@contextmanager
def undetached() -> Iterator[None]:
    """Let gradients through the host's one function that cuts the maps of one-stage heads.

    Every module that has imported it by name gets the other one, and its own back in the end.
    """
    original = misc.select_single_mlvl

    def select(mlvl_tensors: Any, batch_id: int, detach: bool = True) -> list[Tensor]:
        chosen: list[Tensor] = original(mlvl_tensors, batch_id, detach=False)
        return chosen

    users = [
        module
        for module in list(sys.modules.values())
        if getattr(module, '__dict__', {}).get('select_single_mlvl') is original
    ]
    try:
        for module in users:
            module.select_single_mlvl = select  # type: ignore[attr-defined]
        yield
    finally:
        for module in users:
            module.select_single_mlvl = original  # type: ignore[attr-defined]
