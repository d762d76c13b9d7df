"""The network whose features a picture is judged by: a detector's own backbone, frozen."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmext.configuration import load_config
from mmext.errors import InputError, MissingFileError
from mmext.registry import MODELS

_WHOSE = 'network of PerceptualLoss'
_NAMED_KEYS = 3
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # RGB


class LossNetwork:
    """Any backbone of mmdet's with weights of the user.

    It is no module: a model that holds it neither stores nor trains nor wraps its weights. The
    weights are read when they are first needed, on the device of the pictures.

    Args:
        detector: config file of a detector, or its config; its backbone is taken, and mean,
            deviation and order of channels of its data preprocessor.
        backbone: config of a backbone, in the place of ``detector``.
        checkpoint: weights of the detector or of the backbone, a file or an address that mmengine
            knows; without it, that of an ``init_cfg`` of type ``Pretrained``.
        mean: of red, green and blue (with ``backbone``; as ImageNet's).
        std: likewise.
        allow_random: for tests: no weights.

    Raises:
        InputError: no weights, or both or none of ``detector`` and ``backbone``.
    """

    def __init__(
        self,
        detector: str | Mapping[str, Any] | None = None,
        backbone: Mapping[str, Any] | None = None,
        checkpoint: str | None = None,
        mean: Sequence[float] = _IMAGENET[0],
        std: Sequence[float] = _IMAGENET[1],
        allow_random: bool = False,
    ) -> None:
        if (detector is None) == (backbone is None):
            raise InputError(f'{_WHOSE}: expected one of detector and backbone')
        self.mean, self.std, self.takes_bgr = list(mean), list(std), False
        self.config = dict(backbone) if backbone is not None else self._read(detector)
        init = self.config.pop('init_cfg', None) or {}
        prefix = 'backbone'
        if checkpoint is None and isinstance(init, Mapping) and init.get('type') == 'Pretrained':
            checkpoint, prefix = init['checkpoint'], init.get('prefix', 'backbone')
        if checkpoint is None and not allow_random:
            raise InputError(
                f'{_WHOSE}: no weights, and random features judge nothing; set checkpoint=FILE, '
                'of a trained detector or a backbone'
            )
        self.checkpoint, self.prefix = checkpoint, f'{prefix.rstrip(".")}.'
        self._network: nn.Module | None = None

    def _read(self, detector: Any) -> dict[str, Any]:
        """The backbone of a detector; notes what its preprocessor does."""
        config = load_config(detector).model if isinstance(detector, str) else detector
        while 'backbone' not in config and isinstance(config.get('detector'), Mapping):
            config = config['detector']  # one within another, as in teachers and students
        if 'backbone' not in config:
            raise InputError(f'{_WHOSE}: no backbone in detector={detector!r}')
        prepares = config.get('data_preprocessor') or {}
        self.takes_bgr = not prepares.get('bgr_to_rgb', False)
        self.mean = list(prepares.get('mean') or (0.0, 0.0, 0.0))
        self.std = list(prepares.get('std') or (1.0, 1.0, 1.0))
        return copy.deepcopy(dict(config['backbone']))

    @property
    def module(self) -> nn.Module:
        """The network with its weights, frozen, in test mode.

        Raises:
            MissingFileError: no checkpoint there.
            InputError: weights of another network.
        """
        if self._network is None:
            network = MODELS.build(copy.deepcopy(self.config))
            if self.checkpoint is not None:
                _load(network, self.checkpoint, self.prefix)
            network.requires_grad_(False)
            network.eval()  # returns None, by mmdet's `train`
            self._network = network
        return self._network

    def features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """The stages ``[N, C_i, h_i, w_i]`` of RGB pictures ``[N, 3, H, W]`` in [-1, 1]."""
        network = self.module.to(pictures.device)
        pixels = (pictures + 1) * 127.5
        pixels = pixels.flip(1) if self.takes_bgr else pixels
        mean, std = (pixels.new_tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
        return tuple(network((pixels - mean) / std))

    @torch.no_grad()
    def constants(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """The same ``[N, C_i, h_i, w_i]`` of pictures ``[N, 3, H, W]``, without gradients."""
        return self.features(pictures)


def _load(network: nn.Module, path: str, prefix: str) -> None:
    """All weights of a network, from its own file or from a detector's."""
    try:
        loaded = CheckpointLoader.load_checkpoint(path, map_location='cpu', logger='silent')
    except FileNotFoundError as error:
        raise MissingFileError(
            f'{_WHOSE}: no checkpoint at {path}; train its detector first, or name another file'
        ) from error
    weights = loaded.get('state_dict', loaded)
    if any(key.startswith(prefix) for key in weights):
        weights = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    wanted = {k: v for k, v in network.state_dict().items() if 'num_batches_tracked' not in k}
    unlike = [
        key for key, own in wanted.items() if getattr(weights.get(key), 'shape', None) != own.shape
    ]
    if unlike:
        raise InputError(
            f'{_WHOSE}: checkpoint {path} is of another network than {type(network).__name__}: '
            f'{len(unlike)} of {len(wanted)} weights are missing or of another shape '
            f'({", ".join(unlike[:_NAMED_KEYS])})'
        )
    network.load_state_dict({key: weights[key] for key in wanted}, strict=False)
