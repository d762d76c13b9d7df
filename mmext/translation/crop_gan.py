"""Crops of objects learned by class, for copy-paste of classes with few examples.

Losses: Lim and Ye, "Geometric GAN", 2017 (hinge). Pictures of few objects are shown to the
discriminator shifted and in other light, real and made ones alike (Zhao et al., "Differentiable
Augmentation for Data-Efficient GAN Training", NeurIPS 2020).

Shape legend: N crops of S x S px, Z latent values.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.gan_losses import discriminator_loss, generator_loss, verdicts_right
from mmext.translation.network_parts import bare, frozen
from mmext.translation.translator import (
    DISCRIMINATORS,
    GENERATORS,
    Logged,
    Translator,
    optimizer_of,
)

_SHIFT = 0.125  # of the side
_LIGHT = 0.2  # of the range from -1 to 1, up or down


@MODELS.register_module()
class CropPreprocessor(BaseDataPreprocessor):
    """Crops of :class:`.object_crops.ObjectCrops` as ``[N, 4, S, S]`` in [-1, 1], on the device."""

    def forward(self, data: Any, training: bool = False) -> dict[str, Any]:
        """``inputs``: crops ``[N, 4, S, S]``, ``targets``: labels ``[N]``, ``data_samples``."""
        data = self.cast_data(data)
        samples = data['data_samples']
        crops = torch.stack(list(data['inputs'])).float() / 127.5 - 1
        labels = torch.tensor([sample.label for sample in samples], device=crops.device)
        return dict(inputs=crops, targets=labels, data_samples=samples)


@MODELS.register_module()
class CropGAN(Translator):
    """A generator of crops by class and its discriminator.

    A step: the discriminator on real and made crops, then the generator. Samples are predicted as
    ``crop``, uint8 ``[S, S, 4]`` RGB and mask, of their ``label``.

    Args:
        generator: config of a :class:`.crop_networks.CropGenerator`.
        discriminator: config of a :class:`.crop_networks.ProjectionDiscriminator`.
        gan_loss: see :class:`.translator.Translator`.
        augment: whether the discriminator sees crops shifted and in other light.
        data_preprocessor: see :class:`.translator.Translator`.
        init_cfg: of mmengine.

    Raises:
        InputError: an unknown loss, or networks for different numbers of classes.
    """

    def __init__(
        self,
        generator: dict,
        discriminator: dict,
        gan_loss: str = 'hinge',
        augment: bool = True,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        data_preprocessor = data_preprocessor or dict(type='mmext.CropPreprocessor')
        super().__init__(data_preprocessor, gan_loss, init_cfg)
        self.generator: Any = MODELS.build(generator)
        self.discriminator: Any = MODELS.build(discriminator)
        counts = self.generator.num_classes, self.discriminator.num_classes
        if counts[0] != counts[1]:
            raise InputError(
                f'CropGAN: a generator of {counts[0]} and a discriminator of {counts[1]} classes'
            )
        self.augment = augment

    def train_step(self, data: Any, optim_wrapper: Any) -> Logged:
        """Learn from a batch of the data loader.

        Raises:
            InputError: no optimizer for a network.
        """
        batch = self.data_preprocessor(data, True)
        crops, labels = batch['inputs'], batch['targets']
        generator: Any = bare(self.generator)
        latent = torch.randn(len(crops), generator.latent_dim, device=crops.device)
        with optimizer_of(optim_wrapper, GENERATORS).optim_context(self):
            made = self.generator(latent, labels)
        with optimizer_of(optim_wrapper, DISCRIMINATORS).optim_context(self):
            # both in one batch, so that a wrapper of several ranks is called once
            both = torch.cat([self._shown(crops), self._shown(made.detach().float())])
            real, fake = self.discriminator(both, labels.repeat(2)).chunk(2)
            terms = {
                'loss_gan': discriminator_loss([real], [fake], self.gan_loss),
                'right': verdicts_right([real], [fake], self.gan_loss),
            }
            logged = self.learn(optim_wrapper, DISCRIMINATORS, terms)
        judge = bare(self.discriminator)
        with optim_wrapper[GENERATORS].optim_context(self), frozen(judge):
            fake = judge(self._shown(made.float()), labels)
            terms = {'loss_gan': generator_loss([fake], self.gan_loss)}
            return logged | self.learn(optim_wrapper, GENERATORS, terms)

    def _shown(self, crops: Tensor) -> Tensor:
        return augmented(crops) if self.augment else crops

    @torch.no_grad()
    def make(self, labels: Tensor, seed: int = 0, latent: Tensor | None = None) -> Tensor:
        """Crops of labels ``[N]``: uint8 ``[N, S, S, 4]``.

        Args:
            labels: ``[N]``.
            seed: of the latent vectors.
            latent: ``[N, Z]``, in their place.
        """
        generator: Any = bare(self.generator)
        if latent is None:
            latent = latent_vectors(len(labels), generator.latent_dim, seed)
        made = generator(latent.to(labels.device), labels).float()
        levels = ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return levels.permute(0, 2, 3, 1)

    def predict(
        self, inputs: Any, data_samples: Sequence[DetDataSample] | None
    ) -> list[DetDataSample]:
        """The samples with ``crop``, made of their labels."""
        samples = list(data_samples or [])
        device = next(self.parameters()).device
        labels = torch.tensor([sample.label for sample in samples], device=device)
        for sample, crop in zip(samples, self.make(labels), strict=True):
            sample.crop = crop
        return samples


def latent_vectors(count: int, dim: int, seed: int) -> Tensor:
    """``[count, dim]`` of a normal distribution; the first ones stay with a larger count."""
    drawn = np.random.default_rng(seed).standard_normal((count, dim))
    return torch.from_numpy(drawn.astype(np.float32))


def augmented(crops: Tensor) -> Tensor:
    """Crops shifted by up to an eighth and in other light, each by itself.

    Args:
        crops: ``[N, 4, S, S]`` in [-1, 1]; what comes in at the border is empty: gray, mask -1.

    Returns:
        ``[N, 4, S, S]``, with gradients to the crops.
    """
    count, _, height, width = crops.shape
    reach = max(round(_SHIFT * width), 1)
    empty = crops.new_tensor([0.0, 0.0, 0.0, 1.0]).view(4, 1, 1)
    padded = functional.pad(crops + empty, (reach,) * 4) - empty
    moves = torch.randint(0, 2 * reach + 1, (2, count, 1), device=crops.device)
    rows = (moves[0] + torch.arange(height, device=crops.device))[:, None, :, None]
    columns = (moves[1] + torch.arange(width, device=crops.device))[:, None, None, :]
    numbers = torch.arange(count, device=crops.device)[:, None, None, None]
    planes = torch.arange(4, device=crops.device)[None, :, None, None]
    moved = padded[numbers, planes, rows, columns]
    shares = (moved[:, 3:] + 1) / 2
    light = (2 * torch.rand(count, 1, 1, 1, device=crops.device) - 1) * _LIGHT
    return torch.cat([moved[:, :3] + light * shares, moved[:, 3:]], 1)
