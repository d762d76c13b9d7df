"""The few facts by family: where raw outputs live, what depends on the image, what to switch off.

Nothing here is needed to explain a detector of a new family; a fact makes it exact or faster.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from mmdet.models.detectors import TwoStagePanopticSegmentor
from torch import Tensor, nn

from mmext.errors import InputError

# modules by these names put out what scores are made of
_RAW_HEADS = ('bbox_head', 'panoptic_head', 'mask_head', 'mask_iou_head', 'rpn_head', 'query_head',
              'head')  # fmt: skip
_OF_CROPS = ('CropLandmarkEstimator',)
_AUGMENTATIONS: Mapping[str, Any] = {'flip': False, 'views': None}


def raw_heads(model: nn.Module) -> dict[str, nn.Module]:
    """The modules whose outputs scores are made of, by their names."""
    found = {}
    for name, module in model.named_modules():
        parts = name.split('.')
        lists = (*_RAW_HEADS, 'stacks')  # of stages of a cascade, of an hourglass
        stage = len(parts) > 1 and parts[-1].isdigit() and parts[-2] in lists
        if (parts[-1] in _RAW_HEADS or stage) and not isinstance(module, nn.ModuleList):
            found[name] = module
    return found


def has_proposals(model: nn.Module) -> bool:
    """Whether a first stage proposes regions, and a second one scores each."""
    return hasattr(model, 'rpn_head') and hasattr(model, 'roi_head')


def chooses_queries(model: nn.Module) -> bool:
    """Whether the queries of a decoder are taken from the image: they have no fixed numbers."""
    return bool(getattr(model, 'as_two_stage', False))


def hides_instances(model: nn.Module) -> bool:
    """Whether a panoptic detector has instances with scores and puts out the map alone."""
    is_panoptic = isinstance(model, TwoStagePanopticSegmentor)
    return is_panoptic and type(model).__module__.startswith('mmdet.')


def second_stage_instances(model: Any, inputs: Tensor, samples: Sequence[Any]) -> Any:
    """The instances that a panoptic detector makes its map of, from inputs ``[B, 3, H, W]``."""
    features = model.extract_feat(inputs)
    if samples[0].get('proposals', None) is None:
        proposals = model.rpn_head.predict(features, samples, rescale=False)
    else:
        proposals = [sample.proposals for sample in samples]
    return model.roi_head.predict(features, proposals, samples, rescale=True)


def boxes_alone(model: Any, inputs: Tensor, samples: Sequence[Any]) -> Any:
    """The instances in inputs ``[B, 3, H, W]`` without their masks.

    Some make masks by steps that no gradient goes through, and the score does not hang on them.

    Raises:
        RuntimeError: it is not known how to leave the masks out.
    """
    head: Any = getattr(model, 'roi_head', None)
    if has_proposals(model) and head.with_mask:
        modules, masks = head._modules, head._modules['mask_head']
        modules['mask_head'] = None
        try:
            return second_stage_instances(model, inputs, samples)
        finally:
            modules['mask_head'] = masks
    if head is None and hasattr(model, 'bbox_head') and hasattr(model, 'mask_head'):
        return model.bbox_head.predict(model.extract_feat(inputs), samples, rescale=True)
    raise RuntimeError('it makes no masks that could be left out')


def has_region_masks(model: nn.Module) -> bool:
    """Whether a second stage draws a mask in each box."""
    head: Any = getattr(model, 'roi_head', None)
    return has_proposals(model) and bool(head.with_mask) and hasattr(head, '_mask_forward')


def region_masks(model: Any, inputs: Tensor, boxes_xyxy: Tensor) -> Tensor:
    """The logits of masks in the same boxes ``[K, 4]`` of all inputs, px of the input.

    Args:
        model: of which :func:`has_region_masks`.
        inputs: ``[B, 3, H, W]``.
        boxes_xyxy: px of the input.

    Returns:
        ``[B * K, C, h, w]``, image after image. Of a cascade: those of its last stage.
    """
    head, features = model.roi_head, model.extract_feat(inputs)
    count = len(boxes_xyxy)
    image = torch.arange(len(inputs), device=boxes_xyxy.device).repeat_interleave(count)
    rois = torch.cat([image[:, None].to(boxes_xyxy), boxes_xyxy.repeat(len(inputs), 1)], 1)
    stage = (len(head.mask_head) - 1,) if isinstance(head.mask_head, nn.ModuleList) else ()
    try:
        logits: Tensor = head._mask_forward(*stage, features, rois)['mask_preds']
    except TypeError as error:  # HTC, SCNet: masks that want more than regions
        raise InputError(
            f'target mask: {type(head).__name__} makes masks of more than regions'
        ) from error
    return logits


def sees_crops(model: nn.Module) -> bool:
    """Whether the features of a model are of crops, not of the picture."""
    return type(model).__name__ in _OF_CROPS


def proposals_are_learned(model: nn.Module) -> bool:
    """Whether the proposals are weights, the same for every image, as of Sparse R-CNN."""
    return 'Embedding' in type(getattr(model, 'rpn_head', None)).__name__


def neck_name(model: nn.Module) -> str:
    """The module whose outputs the heads see."""
    return 'neck' if getattr(model, 'neck', None) is not None else 'backbone'


def class_counts(model: nn.Module) -> list[int]:
    """How many classes each head tells apart, and one more with the background, largest first."""
    counts = {
        int(count)
        for module in raw_heads(model).values()
        for count in (getattr(module, 'num_classes', None), getattr(module, 'cls_out_channels', 0))
        if count
    }
    return sorted({c + 1 for c in counts} | counts, reverse=True)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, as one plain pass; afterwards it is as it was.

    Whatever happens in between: flags of training, activation checkpointing, the memory of video
    models and settings of the test come back.
    """
    training: dict[Any, bool] = {module: module.training for module in model.modules()}
    with ExitStack() as stack:
        for module, flag in training.items():
            stack.callback(setattr, module, 'training', flag)
            module.training = False  # `eval` of the host's backbones returns None
            if getattr(module, 'with_cp', False):
                stack.callback(setattr, module, 'with_cp', True)
                module.with_cp = False
        stack.enter_context(_one_pass(model))
        stack.enter_context(_without_memory(model))
        yield


@contextmanager
def lenient(model: nn.Module, score_thr: float = 0.01, most: int = 300) -> Iterator[None]:
    """The model keeps more detections than it is set to: weaker ones, and more of them."""
    with ExitStack() as stack:
        for part in _test_settings(model):
            changes = dict(score_thr=score_thr, max_per_img=most, topk=most, nms_pre=most)
            for name, value in changes.items():
                old = part.get(name)
                if not isinstance(old, int | float) or isinstance(old, bool):
                    continue
                worse = old > value if name == 'score_thr' else 0 < old < value
                if worse:
                    stack.callback(part.__setitem__, name, old)
                    part[name] = value
        yield


@contextmanager
def _one_pass(model: nn.Module) -> Iterator[None]:
    """Without test-time augmentation inside of the model."""
    with ExitStack() as stack:
        for part in _test_settings(model):
            for name, value in _AUGMENTATIONS.items():
                if part.get(name):
                    stack.callback(part.__setitem__, name, part[name])
                    part[name] = value
            if part.get('panoptic_on') and not part.get('instance_on', True):
                # its segments have scores as well, and come out as instances
                stack.callback(part.__setitem__, 'instance_on', part['instance_on'])
                part['instance_on'] = True
        for module in model.modules():
            settings = getattr(module, 'settings', None)
            if settings is not None and getattr(settings, 'flip', False):
                stack.callback(setattr, module, 'settings', settings)
                changed: Any = copy.copy(settings)
                if dataclasses.is_dataclass(changed):
                    object.__setattr__(changed, 'flip', False)
                else:
                    changed = changed._replace(flip=False)
                module.settings = changed
        yield


def _test_settings(model: nn.Module) -> list[Any]:
    """All dicts of the ``test_cfg`` of all modules, each once."""
    found: dict[int, Any] = {}

    def visit(node: Any) -> None:
        if isinstance(node, dict) and id(node) not in found:
            found[id(node)] = node
            for value in node.values():
                visit(value)

    for module in model.modules():
        visit(getattr(module, 'test_cfg', None))
    return list(found.values())


@contextmanager
def _without_memory(model: Any) -> Iterator[None]:
    """A video model without the frames before; they come back afterwards."""
    if not callable(getattr(model, 'reset', None)):
        yield
        return
    remembering = [
        part
        for part in vars(model).values()
        if callable(getattr(part, 'reset', None)) and hasattr(part, '__dict__')
    ]
    states = [(part, copy.copy(vars(part))) for part in remembering]
    try:
        model.reset()
        yield
    finally:
        for part, state in states:
            vars(part).clear()
            vars(part).update(state)
