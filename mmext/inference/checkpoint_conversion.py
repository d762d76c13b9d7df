"""Checkpoints of other projects as checkpoints of ours, every key accounted for.

The result of a system's converter is compared with the model that a config builds: every weight of
the model must be there, with its shape, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from mmext.errors import InputError
from mmext.formats.array_pickles import read_arrays
from mmext.host_repairs.checkpoint_writing import whole_file
from mmext.inference.checkpoint_systems import (
    SYSTEMS,
    System,
    advice,
    build_without_values,
    differences,
    named,
)
from mmext.inference.checkpoints import load_checkpoint


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
        lines += [f'    {named(keys)}: {reason}' for reason, keys in reasons.items()]
        left = self.num_source_keys - self.num_used - len(self.dropped)
        return [*lines, f'  left:    {left} keys']


def convert_checkpoint(system: str, source: str, config: Config, out: Path) -> Report:
    """Convert a checkpoint file and write it in mmengine's format.

    Args:
        system: one of ``SYSTEMS``.
        source: the checkpoint, a file or a URL that mmengine knows; of detectron2 the ``.pkl`` as
            it is published.
        config: builds the model that the weights are for; stored in the result, so that
            ``tools/infer.py`` needs no ``--config``.
        out: the file to write.

    Raises:
        InputError: the checkpoint is of another network, or the config is of another model.
    """
    entry = SYSTEMS[system]
    weights, others = _tensors(_published_arrays(source) or load_checkpoint(source)['state_dict'])
    try:
        converted = entry.convert(weights)
    except ValueError as error:
        raise InputError(
            f'checkpoint {source} is not of {system} ({entry.source}): {error}'
            f'{advice(weights, source, config)}'
        ) from None
    module = build_without_values(config, entry.part)
    found = differences(converted.state, module)
    if found:
        raise InputError(
            f'checkpoint {source} and the config are of different networks: {"; ".join(found)}'
            f'{advice(weights, source, config)}'
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as file:
        torch.save({'meta': _meta(entry, config, source), 'state_dict': converted.state}, file)
    parameters = {name for name, _ in module.named_parameters()}
    return Report(
        source=source,
        num_source_keys=len(weights) + len(others),
        num_used=len(converted.state),
        dropped={**converted.dropped, **others},
        num_values=sum(v.numel() for k, v in converted.state.items() if k in parameters),
    )


def _published_arrays(source: str) -> Mapping[str, Any] | None:
    """The weights of a file as detectron2 publishes them, NumPy's in a pickle; None of others."""
    if not source.endswith('.pkl') or not Path(source).is_file():
        return None
    try:
        content = read_arrays(source)
    except InputError:  # torch's own files have such names, too
        return None
    model = content.get('model') if isinstance(content, Mapping) else None
    return model if isinstance(model, Mapping) else None


def _tensors(weights: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a state dict, NumPy's as torch's, and why the other entries are none."""
    tensors, others = {}, {}
    for key, value in weights.items():
        if isinstance(value, Tensor):
            tensors[key] = value
        elif isinstance(value, np.ndarray) and value.dtype.kind in 'fiub':
            tensors[key] = torch.from_numpy(value)
        else:
            others[str(key)] = f'not a tensor but of type {type(value).__name__}'
    return tensors, others


def _meta(entry: System, config: Config, source: str) -> dict[str, Any]:
    """What mmengine and our tools read: where it comes from, and for a whole model the config."""
    meta: dict[str, Any] = {'converted_from': Path(source).name}
    return meta if entry.part else {**meta, 'cfg': config.pretty_text}
