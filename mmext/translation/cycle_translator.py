"""Pictures learned without pairs: CycleGAN.

Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
ICCV 2017.

Shape legend: N pictures of each domain; those of a batch have one size.
"""

from collections.abc import Sequence
from typing import Any

from mmdet.structures import DetDataSample
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.gan_losses import discriminator_loss, generator_loss, verdicts_right
from mmext.translation.image_pool import ImagePool
from mmext.translation.network_parts import bare, frozen
from mmext.translation.paired_translator import saturated_share
from mmext.translation.preprocessor import to_picture
from mmext.translation.translator import (
    DISCRIMINATORS,
    GENERATORS,
    Logged,
    Translator,
    of_any_sizes,
    optimizer_of,
)

DIRECTIONS = ('ab', 'ba')


@MODELS.register_module()
class CycleTranslator(Translator):
    """Two generators and two discriminators.

    A step: pictures of A to B and back, pictures of B to A and back, both generators; then both
    discriminators, on pictures out of pools.

    Samples are pictures of A with one of B as ``target``.

    Args:
        generator: config of both.
        discriminator: config of both.
        gan_loss: see :class:`.translator.Translator`.
        cycle_weight: of the L1 of pictures that came back, each way; 0 shows what it is for.
        identity_weight: of the L1 of a picture of B that the generator to B is given, relative to
            ``cycle_weight``: 0.5 is 5, as in the authors' code. Without it things are repainted.
        pool_size: of :class:`.image_pool.ImagePool`.
        direction: which way ``predict`` goes: ``'ab'`` or ``'ba'``.
        data_preprocessor: see :class:`.translator.Translator`.
        init_cfg: of mmengine.

    Raises:
        InputError: an unknown loss or direction.
    """

    def __init__(
        self,
        generator: dict,
        discriminator: dict,
        gan_loss: str = 'lsgan',
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        direction: str = 'ab',
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, gan_loss, init_cfg)
        if direction not in DIRECTIONS:
            raise InputError(f"direction: expected 'ab' or 'ba', got {direction!r}")
        self.direction = direction
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.generator_ab: nn.Module = MODELS.build(generator)
        self.generator_ba: nn.Module = MODELS.build(generator)
        self.discriminator_a: nn.Module = MODELS.build(discriminator)
        self.discriminator_b: nn.Module = MODELS.build(discriminator)
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)

    def translate(self, inputs: Tensor) -> Tensor:
        """``[N, 3, H, W]`` to the other domain, by ``direction``."""
        return bare(getattr(self, f'generator_{self.direction}'))(inputs)

    def predict(
        self, inputs: Tensor | list[Tensor], data_samples: Sequence[DetDataSample] | None
    ) -> list[DetDataSample]:
        """The samples with ``translated`` and, back again, ``returned``: uint8 ``[3, H, W]``."""
        samples = super().predict(inputs, data_samples)
        back = bare(getattr(self, f'generator_{self.direction[::-1]}'))

        def there_and_back(batch: Tensor) -> Tensor:
            return back(self.translate(batch))

        for sample, returned in zip(samples, of_any_sizes(there_and_back, inputs), strict=True):
            sample.returned = to_picture(returned)
        return samples

    def train_step(self, data: Any, optim_wrapper: Any) -> Logged:
        """Learn from a batch of the data loader.

        Raises:
            InputError: no pictures of B, or no optimizer for a network.
        """
        batch = self.data_preprocessor(data, True)
        a, b = batch['inputs'], batch['targets']
        if b is None:
            raise InputError(
                'the samples have no picture of the other domain: use mmext.UnpairedDataset'
            )
        with optimizer_of(optim_wrapper, GENERATORS).optim_context(self):
            made_b, made_a = self.generator_ab(a), self.generator_ba(b)
            terms = self._of_generators(a, b, made_a, made_b)
            logged = self.learn(optim_wrapper, GENERATORS, terms)
        with optimizer_of(optim_wrapper, DISCRIMINATORS).optim_context(self):
            terms = self._of_discriminators(a, b, made_a, made_b)
            logged |= self.learn(optim_wrapper, DISCRIMINATORS, terms)
        return self.summed(logged)

    def _of_generators(
        self, a: Tensor, b: Tensor, made_a: Tensor, made_b: Tensor
    ) -> dict[str, Tensor]:
        judge_a, judge_b = bare(self.discriminator_a), bare(self.discriminator_b)
        with frozen(judge_a, judge_b):
            terms = {
                'loss_gan_ab': generator_loss([s[-1] for s in judge_b(made_b)], self.gan_loss),
                'loss_gan_ba': generator_loss([s[-1] for s in judge_a(made_a)], self.gan_loss),
            }
        if self.cycle_weight:
            terms['loss_cycle_a'] = self.cycle_weight * _l1(self.generator_ba(made_b), a)
            terms['loss_cycle_b'] = self.cycle_weight * _l1(self.generator_ab(made_a), b)
        weight = self.cycle_weight * self.identity_weight
        if weight:
            terms['loss_identity_a'] = weight * _l1(self.generator_ba(a), a)
            terms['loss_identity_b'] = weight * _l1(self.generator_ab(b), b)
        terms['saturated_ab'] = saturated_share(made_b)
        terms['saturated_ba'] = saturated_share(made_a)
        return terms

    def _of_discriminators(
        self, a: Tensor, b: Tensor, made_a: Tensor, made_b: Tensor
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        for name, judge, pool, real, made in (
            ('a', self.discriminator_a, self.pool_a, a, made_a),
            ('b', self.discriminator_b, self.pool_b, b, made_b),
        ):
            of_real = [scale[-1] for scale in judge(real)]
            of_made = [scale[-1] for scale in judge(pool.exchange(made))]
            terms[f'loss_gan_{name}'] = discriminator_loss(of_real, of_made, self.gan_loss)
            terms[f'right_{name}'] = verdicts_right(of_real, of_made, self.gan_loss)
        return terms


def _l1(made: Tensor, wanted: Tensor) -> Tensor:
    return functional.l1_loss(made.float(), wanted)
