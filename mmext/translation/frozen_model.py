"""A trained model that another one uses and does not change."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from torch import nn

from mmext.configuration import load_config, remove_pretrained
from mmext.errors import InputError, MissingFileError
from mmext.host_repairs.configs import adapt_config
from mmext.registry import MODELS, TRANSFORMS

_NAMED_KEYS = 3  # keys named in a message


def frozen_model(
    config: str, checkpoint: str, parts: Sequence[str] = ()
) -> tuple[nn.Module, Config]:
    """A model of a config with its weights: in evaluation, nothing of it learns.

    Args:
        config: file; ``mmext::upsnet_demo.py`` for one that is shipped.
        checkpoint: file with all weights of the model.
        parts: modules of the model; the file may also hold the weights of one of them alone, as a
            converted one does.

    Returns:
        The model, on the CPU, and the config.

    Raises:
        MissingFileError: no checkpoint there.
        InputError: the config is wrong, or the weights are of another model.
    """
    read = load_config(config)
    if not Path(checkpoint).is_file():
        raise MissingFileError(
            f'no checkpoint at {Path(checkpoint).absolute()}: train the model first '
            f'(mmext train {config}), or name the weights there are'
        )
    adapt_config(read, single_process=True)
    remove_pretrained(read)
    with DefaultScope.overwrite_default_scope(read.default_scope):
        model: nn.Module = MODELS.build(read.model)
    _load(model, checkpoint, parts)
    return model.eval().requires_grad_(False), read


def pipeline_after_loading(config: Config) -> Compose:
    """The steps of a config's test pipeline behind those that read files."""
    dataset = config.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    steps = [step for step in dataset.pipeline if 'Load' not in str(step['type'])]
    with DefaultScope.overwrite_default_scope(config.default_scope):
        return Compose([TRANSFORMS.build(step) for step in steps])


def _load(model: nn.Module, checkpoint: str, parts: Sequence[str]) -> None:
    try:
        loaded: Any = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
        weights = loaded.get('state_dict', loaded)
        # counters of batches only count; tensors of other kinds are missed below
        weights = {k: v for k, v in weights.items() if isinstance(v, torch.Tensor)}
    except (AttributeError, OSError, RuntimeError, EOFError) as error:
        raise InputError(f'checkpoint {checkpoint} cannot be read: {error}') from error
    for part in parts:
        inner = getattr(model, part, None)
        if inner is not None and inner.state_dict().keys() == weights.keys():
            model = inner
    own = model.state_dict()
    wrong = [k for k, v in own.items() if k not in weights and not k.endswith('_tracked')]
    wrong += [k for k, v in weights.items() if k in own and own[k].shape != v.shape]
    wrong = [k for k in wrong if not k.startswith('pool_')]  # of a translator: of any size
    if wrong:
        raise InputError(
            f'checkpoint {checkpoint} is of another model than the config: {len(wrong)} weights '
            f'are missing or of another shape ({", ".join(wrong[:_NAMED_KEYS])})'
        )
    model.load_state_dict(weights, strict=False)
