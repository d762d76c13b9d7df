"""Detectors of the host in parts; see :mod:`mmext.layers.network_parts`.

Shape legend: N images.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from mmext.errors import InputError
from mmext.layers.network_parts import Backbone, ImageInput, NetworkPart, Runner, image_example
from mmext.layers.two_stage_parts import two_stage_parts, use_two_stage_parts


class _SingleStagePart(nn.Module):
    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.features, self.head = Backbone(detector), detector.bbox_head

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(pytree.tree_leaves(self.outputs(image)))

    def outputs(self, image: Tensor) -> Any:
        """What the head returns of BGR images 0..255, ``[N, 3, H, W]``."""
        return self.head(self.features(image))


def single_stage_parts(detector: Any, size_hw: tuple[int, int]) -> dict[str, NetworkPart]:
    """``dense``, all that the head of a single-stage detector says before decoding.

    The name of an output is its place in the nested lists and dicts of the head.

    Raises:
        InputError: the head returns something else than tensors.
    """
    module, inputs = _SingleStagePart(detector), image_example(size_hw)
    with_paths, _ = pytree.tree_flatten_with_path(module.outputs(**inputs))
    if not all(isinstance(leaf, Tensor) for _, leaf in with_paths):
        raise InputError(f'{type(detector.bbox_head).__name__}: its outputs are not tensors alone')
    names = tuple('.'.join(['head', *map(_key, path)]) for path, _ in with_paths)
    return dict(dense=NetworkPart(module, inputs, names))


def _key(entry: Any) -> str:
    return str(getattr(entry, 'idx', getattr(entry, 'key', None)))


def use_single_stage_parts(detector: Any, runners: Mapping[str, Runner]) -> None:
    """Let a single-stage detector decode what ran elsewhere, in place."""
    image_input, dense = ImageInput(detector.data_preprocessor), runners['dense']

    def head_forward(outputs: tuple[Tensor, ...]) -> Any:
        return nested(dense.output_names, outputs)

    detector.extract_feat = lambda inputs: dense(image_input.pixels(inputs))
    detector.bbox_head.forward = head_forward


def nested(names: Sequence[str], values: Sequence[Any]) -> Any:
    """Lists and dicts again, from values with places for names.

    >>> nested(['head.0.0', 'head.0.1', 'head.1.size'], 'abc')
    [['a', 'b'], {'size': 'c'}]
    """
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *path, last = name.split('.')
        branch = tree
        for key in path:
            branch = branch.setdefault(key, {})
        branch[last] = value
    return _listed(tree)['head']


def _listed(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    values = {key: _listed(value) for key, value in tree.items()}
    return list(values.values()) if all(key.isdigit() for key in values) else values


def network_parts(
    detector: Any, size_hw: tuple[int, int], meta: Mapping[str, Any]
) -> dict[str, NetworkPart]:
    """The parts of a detector of the host.

    Args:
        detector: single-stage, or two-stage with a standard RoI head.
        size_hw: of the example, px.
        meta: of its data; not used.

    Raises:
        InputError: a detector of another kind.
    """
    if isinstance(detector, TwoStageDetector) and detector.with_rpn:
        return two_stage_parts(detector, size_hw)
    is_single_stage = type(detector).predict is SingleStageDetector.predict
    if is_single_stage and type(detector.bbox_head).predict is BaseDenseHead.predict:
        return single_stage_parts(detector, size_hw)
    raise InputError(
        f'{type(detector).__name__} cannot be exported: it is neither single-stage nor two-stage '
        'in the way of mmdet'
    )


def use_parts(detector: Any, runners: Mapping[str, Runner]) -> None:
    """Let a detector of the host predict with its parts run elsewhere, in place."""
    two_stage = isinstance(detector, TwoStageDetector)
    (use_two_stage_parts if two_stage else use_single_stage_parts)(detector, runners)
