"""Pictures learned from pairs: pix2pix, and with other parts SPADE or super resolution.

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.

Shape legend: N pictures, C channels of the source; the pictures of a batch have one size.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.gan_losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    verdicts_right,
)
from mmext.translation.network_parts import bare, frozen
from mmext.translation.patch_discriminator import joined
from mmext.translation.translator import (
    DISCRIMINATORS,
    GENERATORS,
    Logged,
    Translator,
    optimizer_of,
)

_PIXEL_LOSSES = {'l1': functional.l1_loss, 'mse': functional.mse_loss}


@MODELS.register_module()
class PairedTranslator(Translator):
    """A generator that learns from source and target, with a discriminator or without.

    A step: the discriminator on the made picture and on the target, then the generator, judged by
    the discriminator just improved.

    Args:
        generator: config.
        discriminator: config; None: pixels (and ``perceptual``) alone.
        conditional: whether the discriminator sees the source beside the picture.
        gan_loss: see :class:`.translator.Translator`.
        gan_weight: of the adversarial loss.
        pixel_loss: ``'l1'`` or ``'mse'`` between made picture and target, from -1 to 1.
        pixel_weight: 100 in the paper; 0: none.
        feature_weight: of feature matching (10 in SPADE); 0: none.
        perceptual: config of a model that takes made pictures and targets, ``[N, 3, H, W]`` from
            -1 to 1, and returns losses by name or one of them.
        data_preprocessor: see :class:`.translator.Translator`.
        init_cfg: of mmengine.

    Raises:
        InputError: an unknown loss, or nothing to learn from.
    """

    def __init__(
        self,
        generator: dict,
        discriminator: dict | None = None,
        conditional: bool = True,
        gan_loss: str = 'vanilla',
        gan_weight: float = 1.0,
        pixel_loss: str = 'l1',
        pixel_weight: float = 100.0,
        feature_weight: float = 0.0,
        perceptual: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, gan_loss, init_cfg)
        if pixel_loss not in _PIXEL_LOSSES:
            raise InputError(
                f'pixel_loss: expected one of {", ".join(_PIXEL_LOSSES)}, got {pixel_loss!r}'
            )
        if discriminator is None and perceptual is None and not pixel_weight:
            raise InputError(
                'a translator without discriminator, pixel_weight and perceptual loss has nothing '
                'to learn from: give it one of them'
            )
        self.generator: nn.Module = MODELS.build(generator)
        self.discriminator = None if discriminator is None else MODELS.build(discriminator)
        self.perceptual = None if perceptual is None else MODELS.build(perceptual)
        self.conditional, self.gan_weight = conditional, gan_weight
        self.pixel_loss, self.pixel_weight = pixel_loss, pixel_weight
        self.feature_weight = feature_weight

    def translate(self, inputs: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, 3, H', W']`` from -1 to 1."""
        return bare(self.generator)(inputs)

    def train_step(self, data: Any, optim_wrapper: Any) -> Logged:
        """Learn from a batch of the data loader.

        Raises:
            InputError: no targets, or no optimizer for a network.
        """
        batch = self.data_preprocessor(data, True)
        source, target = batch['inputs'], batch['targets']
        if target is None:
            raise InputError(
                'the samples have no target: end the pipeline with mmext.PackTranslation'
            )
        with optimizer_of(optim_wrapper, GENERATORS).optim_context(self):
            made = self.generator(source)
        condition = source if self.conditional else None
        logged: Logged = {}
        if self.discriminator is not None:
            with optimizer_of(optim_wrapper, DISCRIMINATORS).optim_context(self):
                terms = self._of_discriminator(condition, made.detach(), target)
                logged |= self.learn(optim_wrapper, DISCRIMINATORS, terms)
        with optim_wrapper[GENERATORS].optim_context(self):
            terms = self._of_generator(condition, made, target)
            logged |= self.learn(optim_wrapper, GENERATORS, terms)
        return self.summed(logged)

    def _of_discriminator(
        self, condition: Tensor | None, made: Tensor, target: Tensor
    ) -> dict[str, Tensor]:
        assert self.discriminator is not None
        real = [scale[-1] for scale in self.discriminator(joined(condition, target))]
        fake = [scale[-1] for scale in self.discriminator(joined(condition, made))]
        return {
            'loss_gan': discriminator_loss(real, fake, self.gan_loss),
            'right': verdicts_right(real, fake, self.gan_loss),
        }

    def _of_generator(
        self, condition: Tensor | None, made: Tensor, target: Tensor
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        if self.discriminator is not None:
            judge = bare(self.discriminator)
            with frozen(judge):
                seen = judge(joined(condition, made))
                maps = [scale[-1] for scale in seen]
                terms['loss_gan'] = self.gan_weight * generator_loss(maps, self.gan_loss)
                if self.feature_weight:
                    with torch.no_grad():
                        real = judge(joined(condition, target))
                    loss = feature_matching_loss(seen, real)
                    terms['loss_feature'] = self.feature_weight * loss
        made = made.float()
        if self.pixel_weight:
            loss = _PIXEL_LOSSES[self.pixel_loss](made, target)
            terms['loss_pixel'] = self.pixel_weight * loss
        if self.perceptual is not None:
            found = self.perceptual(made, target)
            terms |= found if isinstance(found, dict) else {'loss_perceptual': found}
        terms['saturated'] = saturated_share(made)
        return terms


def saturated_share(made: Tensor) -> Tensor:
    """Share of the values ``[N, C, H, W]`` at the end of the range: black or white holes; a scalar.

    They grow where a learning rate is too high.
    """
    return (made.detach().abs() > 0.98).float().mean()
