"""A model in one precision: one optimiser step on generated pictures.

Timed are forward, targets, losses, backward and the optimiser; reading the pictures is not. The
learning rate is 0, so that every repetition does the same work, and in fp16 the loss scale is
fixed, so that none is left out.
"""

import copy
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData, PixelData
from torch import nn

from mmext.benchmark.inference import SEED, Inference
from mmext.benchmark.pictures import NUM_THINGS, Objects, picture_objects
from mmext.benchmark.timing import waiter
from mmext.configuration import walk
from mmext.hooks.mixed_precision.memory_order import (
    align_state,
    lay_weights,
    wants_channels_last,
)
from mmext.hooks.mixed_precision.op_guards import OpGuards
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper

_LOSS_SCALE = 1.0
_IGNORED = 255  # in semantic maps of the host


class Counts(NamedTuple):
    """Classes of things and stuff, and key points of an object, that a model knows."""

    things: int
    stuff: int
    points: int


class Training:
    """Training steps of a model, timed.

    Args:
        model: a detector on its device; put into training mode by every step.
        config: with ``optim_wrapper`` and the test pipeline, which sizes the pictures.
        precision: 'fp32', 'bf16' or 'fp16'.
        files: a batch of generated pictures, in the order of their numbers.
    """

    def __init__(
        self, model: nn.Module, config: Config, precision: str, files: Sequence[Path]
    ) -> None:
        self.model = model
        self.device_type = next(model.parameters()).device.type
        self._wait = waiter(self.device_type)
        self._wrapper = _optimizer(model, config, precision)
        choice = self._wrapper.choice
        low = choice.name != 'fp32'
        self._guards = OpGuards(model, self.device_type, choice.dtype) if low else None
        self._wrapper.attach(model, self._guards)
        # as MixedPrecisionHook would have it; other precisions share the model
        last = wants_channels_last('auto', choice, self.device_type, wrapped=False)
        self._order = torch.channels_last if last else torch.contiguous_format
        self._batch = _batch(Inference(model, config, 'fp32'), config, files)

    def milliseconds(self) -> float:
        """Time of one step."""
        batch = copy.deepcopy(self._batch)  # heads write into the data samples
        self.model.train()
        lay_weights(self.model, self._order)
        align_state(self._wrapper.optimizer)
        torch.manual_seed(SEED)  # of the RoI sampler
        with self._guards or nullcontext():  # once for a whole run of MixedPrecisionHook: not timed
            self._wait()
            start = time.perf_counter()
            with self._wrapper.optim_context(self.model):
                losses = self.model(**batch, mode='loss')
            loss, _ = self.model.parse_losses(losses)  # type: ignore[operator]
            self._wrapper.update_params(loss)
            self._wait()
            return 1e3 * (time.perf_counter() - start)


def _optimizer(model: nn.Module, config: Config, precision: str) -> PrecisionOptimWrapper:
    settings = copy.deepcopy(dict(config.optim_wrapper))
    settings['type'] = 'OptimWrapper'
    for key in ('dtype', 'loss_scale', 'precision', 'accumulative_counts'):
        settings.pop(key, None)  # of AmpOptimWrapper, of ours; a step is a step
    if precision == 'fp16':
        settings['optimizer'].pop('fused', None)  # would unscale by itself
    wrapper = build_optim_wrapper(model, settings)
    for group in wrapper.optimizer.param_groups:
        group['lr'] = 0.0
    return PrecisionOptimWrapper.replacing(wrapper, precision=precision, loss_scale=_LOSS_SCALE)


def _batch(inference: Inference, config: Config, files: Sequence[Path]) -> dict[str, Any]:
    """Prepared pictures with ground truth in the frame of the network's input."""
    batch = inference.prepare(files)
    counts = class_counts(config)
    height, width = batch['inputs'].shape[-2:]
    device = batch['inputs'].device
    for number, sample in enumerate(batch['data_samples']):
        objects = scaled(picture_objects(number), sample.img_shape, (height, width))
        annotate(sample, objects, counts)
    batch['data_samples'] = [sample.to(device) for sample in batch['data_samples']]
    return batch


def scaled(objects: Objects, shape: tuple[int, int], padded: tuple[int, int]) -> Objects:
    """The objects at the size ``shape``, with padding to ``padded``; height first."""

    def resized(plane: np.ndarray, fill: int) -> np.ndarray:
        small = cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_NEAREST)
        after = [(0, whole - part) for whole, part in zip(padded, shape, strict=True)]
        return np.pad(small, after, constant_values=fill)

    masks = np.stack([resized(mask, 0) for mask in objects.masks])
    kept = masks.any(axis=(1, 2))
    stuff = resized(objects.stuff.astype(np.int16), -1).astype(np.int64)
    return Objects(masks[kept], objects.labels[kept], stuff)


def annotate(sample: DetDataSample, objects: Objects, counts: Counts) -> None:
    """Write the ground truth into a data sample: boxes, labels, masks, semantic map, points."""
    masks = BitmapMasks(objects.masks, *objects.masks.shape[1:])
    labels = torch.from_numpy(objects.labels % counts.things)
    sample.gt_instances = InstanceData(
        bboxes=masks.get_bboxes('hbox').tensor, labels=labels, masks=masks
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    if counts.points:
        _add_points(sample.gt_instances, counts.points)
    semantic = np.full(objects.stuff.shape, _IGNORED)
    if counts.stuff:
        known = objects.stuff >= 0
        semantic[known] = counts.things + objects.stuff[known] % counts.stuff
    for mask, label in zip(objects.masks, labels.tolist(), strict=True):
        semantic[mask > 0] = label
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(semantic.astype(np.uint8))[None])


def _add_points(instances: InstanceData, count: int) -> None:
    """Key points, all visible, on the diagonal of each box."""
    boxes = instances.bboxes
    shares = torch.arange(1, count + 1) / (count + 1)
    corner, extent = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    instances.keypoints = corner + shares[:, None] * extent  # [n, count, 2]
    instances.keypoints_visible = torch.ones(len(boxes), count)


def class_counts(config: Config) -> Counts:
    """What the model of a config is to find, by the settings that its parts have."""
    parts = [part for _, part in walk(config.model)]

    def smallest(*names: str) -> int:
        values = (
            [part[name] for part in parts if isinstance(part.get(name), int) and part[name]]
            for name in names
        )
        return next((min(found) for found in values if found), 0)

    return Counts(
        things=smallest('num_things_classes', 'num_classes') or NUM_THINGS,
        stuff=smallest('num_stuff_classes'),
        points=smallest('num_joints', 'num_landmarks', 'num_keypoints'),
    )
