"""Checkpoints of other projects as checkpoints of ours, every key accounted for.

A system's converter is a pure function ``state dict -> Converted``; here its result is compared
with the model that a config builds: every weight of the model must be there, with its shape, and
nothing else.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmext.configuration import remove_pretrained
from mmext.errors import InputError
from mmext.formats.checkpoint_keys import Converted
from mmext.inference.checkpoints import load_checkpoint

_NAMED_KEYS = 3  # keys named in a message


class System(NamedTuple):
    """A kind of checkpoint that can be converted."""

    converter: str
    """``module:function``, takes a state dict and returns a ``Converted``."""
    source: str
    """What checkpoints it takes."""
    part: str = ''
    """The module of the model that the result belongs to; empty is the whole model."""


SYSTEMS = {
    'centernet-points-dla': System(
        'mmext.centernet.checkpoint_keys_points:convert_dla',
        'xingyizhou/CenterNet, ctdet_coco_dla or multi_pose_dla',
    ),
    'centernet-points-hourglass': System(
        'mmext.centernet.checkpoint_keys_points:convert_hourglass',
        'xingyizhou/CenterNet, ctdet_coco_hg or multi_pose_hg',
    ),
    'centernet-points-resdcn': System(
        'mmext.centernet.checkpoint_keys_points:convert_resnet',
        'xingyizhou/CenterNet, ctdet_coco_resdcn18 or ctdet_coco_resdcn101',
    ),
    'centernet-triplet': System(
        'mmext.centernet.checkpoint_keys_triplet:convert',
        'Duankaiwen/CenterNet, CenterNet-52 or CenterNet-104',
    ),
    'dla34-imagenet': System(
        'mmext.centernet.checkpoint_keys_points:convert_dla_imagenet',
        'the ImageNet DLA-34 of ucbdrive/dla',
        part='backbone',
    ),
    'retinaface': System(
        'mmext.retinaface.checkpoint_keys:convert',
        'biubug6/Pytorch_Retinaface, MobileNetV1 x0.25 or ResNet-50',
    ),
    'retinaface-backbone': System(
        'mmext.retinaface.checkpoint_keys:convert_backbone',
        'the ImageNet MobileNetV1 x0.25 of biubug6/Pytorch_Retinaface',
        part='backbone',
    ),
    'vpsnet': System('mmext.vpsnet.checkpoint_keys:convert', 'mcahny/vps, any of its models'),
}


@dataclass
class Report:
    """What became of a checkpoint.

    Attributes:
        source: its path.
        num_source_keys: keys in it.
        num_used: keys that are in the result.
        dropped: key -> reason.
        num_values: numbers in the weights of the result.
    """

    source: str
    num_source_keys: int
    num_used: int
    dropped: dict[str, str]
    num_values: int

    def lines(self) -> list[str]:
        """The report, for people."""
        lines = [
            f'{self.source}: {self.num_source_keys} keys',
            f'  used:    {self.num_used} keys, {self.num_values:,} values; '
            'each is in the model with its shape, and the model lacks none',
            f'  dropped: {len(self.dropped)} keys',
        ]
        reasons: dict[str, list[str]] = {}
        for key, reason in self.dropped.items():
            reasons.setdefault(reason, []).append(key)
        lines += [f'    {_shown(keys)}: {reason}' for reason, keys in reasons.items()]
        left = self.num_source_keys - self.num_used - len(self.dropped)
        return [*lines, f'  left:    {left} keys']


def convert_checkpoint(system: str, source: str, config: Config, out: Path) -> Report:
    """Convert a checkpoint file and write it in mmengine's format.

    Args:
        system: one of ``SYSTEMS``.
        source: the checkpoint, a file or a URL that mmengine knows.
        config: builds the model that the weights are for; stored in the result, so that
            ``tools/infer.py`` needs no ``--config``.
        out: the file to write.

    Raises:
        InputError: the checkpoint is of another network, or the config is of another model.
    """
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    entry = SYSTEMS[system]
    weights = load_checkpoint(source)['state_dict']
    tensors = {key: value for key, value in weights.items() if isinstance(value, Tensor)}
    try:
        converted = _converter(entry)(tensors)
    except ValueError as error:
        raise InputError(
            f'checkpoint {source} is not of {system} ({entry.source}): {error}'
        ) from None
    init_default_scope(config.get('default_scope', 'mmdet'))
    remove_pretrained(config)
    model = MODELS.build(config.model)
    module = model.get_submodule(entry.part) if entry.part else model
    check_state(converted.state, module, source)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'meta': _meta(entry, config, source), 'state_dict': converted.state}, out)
    parameters = {name for name, _ in module.named_parameters()}
    return Report(
        source=source,
        num_source_keys=len(tensors),
        num_used=len(converted.state),
        dropped=converted.dropped,
        num_values=sum(v.numel() for k, v in converted.state.items() if k in parameters),
    )


def check_state(state: Mapping[str, Tensor], module: nn.Module, source: str) -> None:
    """Compare converted weights with a model, key by key.

    Raises:
        InputError: keys that one of the two lacks, or shapes that differ.
    """
    own = module.state_dict()
    # files of torch before 0.4.1 have no counters of batches; they only count
    missing = [k for k in own if k not in state and not k.endswith('.num_batches_tracked')]
    unknown = [key for key in state if key not in own]
    misshapen = [
        f'{key} {list(state[key].shape)} for {list(own[key].shape)}'
        for key in state
        if key in own and state[key].shape != own[key].shape
    ]
    problems = (
        (missing, 'of the model are not in it'),
        (unknown, 'are unknown to the model'),
        (misshapen, 'have another shape'),
    )
    found = [f'{len(keys)} keys {what} ({_shown(keys)})' for keys, what in problems if keys]
    if found:
        raise InputError(
            f'checkpoint {source} and the config are of different networks: {"; ".join(found)}'
        )


def _converter(entry: System) -> Callable[[Mapping[str, Tensor]], Converted]:
    module, function = entry.converter.split(':')
    converter: Callable[[Mapping[str, Tensor]], Converted]
    converter = getattr(importlib.import_module(module), function)
    return converter


def _meta(entry: System, config: Config, source: str) -> dict[str, Any]:
    """What mmengine and our tools read: where it comes from, and for a whole model the config."""
    meta: dict[str, Any] = {'converted_from': Path(source).name}
    return meta if entry.part else {**meta, 'cfg': config.pretty_text}


def _shown(keys: list[str]) -> str:
    return ', '.join(keys[:_NAMED_KEYS]) + (', ...' if len(keys) > _NAMED_KEYS else '')
