"""What translators share: several networks, each learned by the optimizer of its group.

A generator or discriminator is a plain attribute, and is called as such: in a training of several
processes mmengine's ``MMSeparateDistributedDataParallel`` puts the wrapper that averages gradients
there, and a network called behind it (as through an ``nn.ModuleDict``) learns on each rank for
itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.model import BaseModel
from torch import Tensor

from mmext.errors import InputError
from mmext.translation.gan_losses import KINDS
from mmext.translation.preprocessor import same_sizes, to_picture

GENERATORS, DISCRIMINATORS = 'generators', 'discriminators'
"""Groups of :class:`.network_optim_wrappers.NetworkOptimWrapperConstructor`."""

Logged = dict[str, Tensor]


class Translator(BaseModel):
    """Base of the models of this room.

    Args:
        data_preprocessor: config; :class:`.preprocessor.TranslationPreprocessor` for pictures if
            None.
        gan_loss: one of :data:`.gan_losses.KINDS`.
        init_cfg: of mmengine.

    Raises:
        InputError: an unknown loss.
    """

    def __init__(
        self,
        data_preprocessor: dict | None = None,
        gan_loss: str = 'lsgan',
        init_cfg: dict | None = None,
    ) -> None:
        if gan_loss not in KINDS:
            raise InputError(f'gan_loss: expected one of {", ".join(KINDS)}, got {gan_loss!r}')
        super().__init__(data_preprocessor or dict(type='mmext.TranslationPreprocessor'), init_cfg)
        self.gan_loss = gan_loss

    def forward(
        self,
        inputs: Tensor | list[Tensor],
        targets: Tensor | list[Tensor] | None = None,
        data_samples: Sequence[DetDataSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Translate; losses are of ``train_step`` alone.

        Args:
            inputs: sources, ``[N, C, H, W]`` or a list of ``[C, H, W]``.
            targets: not used.
            data_samples: N of them.
            mode: ``'tensor'``: pictures from -1 to 1; ``'predict'``: data samples with
                ``translated``, uint8 ``[3, H, W]`` BGR.

        Raises:
            InputError: ``'loss'``: several networks need several optimizers.
        """
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.translate(inputs)
        raise InputError(
            f'{type(self).__name__} has several networks and learns in train_step alone: give '
            'optim_wrapper the constructor mmext.NetworkOptimWrapperConstructor, and in several '
            "processes model_wrapper_cfg=dict(type='MMSeparateDistributedDataParallel')"
        )

    def translate(self, inputs: Any) -> Any:
        """Pictures ``[N, 3, H, W]`` from -1 to 1 of stacked sources."""
        raise NotImplementedError

    def predict(
        self, inputs: Tensor | list[Tensor], data_samples: Sequence[DetDataSample] | None
    ) -> list[DetDataSample]:
        """The samples with ``translated``, see :meth:`forward`."""
        samples = list(data_samples or [DetDataSample() for _ in inputs])
        for sample, made in zip(samples, of_any_sizes(self.translate, inputs), strict=True):
            sample.translated = to_picture(made)
        return samples

    @staticmethod
    def summed(logged: Logged) -> Logged:
        """What a step logs, with the sum of the losses of all groups as ``loss``."""
        groups = (logged.get(f'{group}/loss') for group in (GENERATORS, DISCRIMINATORS))
        return {**logged, 'loss': torch.stack([loss for loss in groups if loss is not None]).sum()}

    def learn(self, optim_wrapper: Any, group: str, terms: Mapping[str, Tensor]) -> Logged:
        """A step of the optimizer of a group.

        Args:
            optim_wrapper: mmengine's ``OptimWrapperDict``.
            group: of it.
            terms: scalars; those whose name begins with ``loss`` are added up and lessened.

        Returns:
            All terms and the sum, under ``group/name``.
        """
        total = torch.stack([v for name, v in terms.items() if name.startswith('loss')]).sum()
        optim_wrapper[group].update_params(total)
        logged = {f'{group}/loss': total, **{f'{group}/{n}': v for n, v in terms.items()}}
        return {name: value.detach() for name, value in logged.items()}


def of_any_sizes(
    translate: Callable[[Tensor], Tensor], inputs: Tensor | list[Tensor]
) -> list[Tensor]:
    """Pictures ``[3, H, W]`` of sources, those of one size at a time."""
    if isinstance(inputs, Tensor):
        return list(translate(inputs))
    made: dict[int, Tensor] = {}
    for places in same_sizes(inputs).values():
        batch = translate(torch.stack([inputs[place] for place in places]))
        made.update(zip(places, batch, strict=True))
    return [made[place] for place in range(len(inputs))]


def optimizer_of(optim_wrapper: Any, group: str) -> Any:
    """The optimizer wrapper of a group.

    Raises:
        InputError: there is none.
    """
    wrappers = getattr(optim_wrapper, 'optim_wrappers', {})  # a plain wrapper has none
    if group not in wrappers:
        raise InputError(
            f'optim_wrapper has no {group!r}: a translator learns with one optimizer for each '
            "group of networks; write optim_wrapper=dict(constructor='mmext.NetworkOptimWrapper"
            f"Constructor', {group}=dict(networks=(...), type='OptimWrapper', optimizer=...))"
        )
    return wrappers[group]
