"""Tiny translators with their optimizers, and batches for them."""

from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.optim import build_optim_wrapper

import mmext.translation.registered  # noqa: F401
from mmext.registry import MODELS

CLASSES = 3
ADAM = dict(type='Adam', lr=1e-2, betas=(0.5, 0.999))
GENERATOR = dict(type='mmext.ResidualGenerator', width=4, num_blocks=1)
PATCHES = dict(type='mmext.PatchDiscriminator', width=4, num_layers=1)
CYCLE: dict[str, Any] = dict(
    type='mmext.CycleTranslator', generator=GENERATOR, discriminator=PATCHES, pool_size=2
)
PAIRED: dict[str, Any] = dict(
    type='mmext.PairedTranslator',
    data_preprocessor=dict(type='mmext.TranslationPreprocessor', num_labels=CLASSES),
    generator=dict(type='mmext.UNetGenerator', in_channels=CLASSES + 2, width=4, num_downs=2),
    discriminator=dict(PATCHES, in_channels=CLASSES + 5),
    pixel_weight=10.0,
)
CYCLE_OPTIMIZERS: dict[str, Any] = dict(
    constructor='mmext.NetworkOptimWrapperConstructor',
    generators=dict(networks=('generator_ab', 'generator_ba'), optimizer=ADAM),
    discriminators=dict(networks=('discriminator_a', 'discriminator_b'), optimizer=ADAM),
)
PAIRED_OPTIMIZERS: dict[str, Any] = dict(
    constructor='mmext.NetworkOptimWrapperConstructor',
    generators=dict(networks=('generator',), optimizer=ADAM),
    discriminators=dict(networks=('discriminator',), optimizer=ADAM),
)


def built(model: dict[str, Any], optimizers: dict[str, Any]) -> tuple[Any, Any]:
    """A translator with start values of a fixed seed, and its optimizers."""
    torch.manual_seed(0)
    translator = MODELS.build(model)
    translator.init_weights()
    return translator.train(), build_optim_wrapper(translator, optimizers)


def picture(seed: int, side: int = 16) -> torch.Tensor:
    """uint8 ``[3, side, side]``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, side, side), generator=generator, dtype=torch.uint8)


def label_map(seed: int, side: int = 16) -> torch.Tensor:
    """Labels and edges, uint8 ``[2, side, side]``."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (1, side, side), generator=generator)
    return torch.cat((labels, labels == 1)).to(torch.uint8)


def batch(sources: list[torch.Tensor], targets: list[torch.Tensor] | None) -> dict[str, Any]:
    """As a data loader gives it."""
    samples = [DetDataSample(metainfo=dict(img_path=f'{n}.png')) for n in range(len(sources))]
    for sample, target in zip(samples, targets or (), strict=False):
        sample.target = target
    return dict(inputs=sources, data_samples=samples)


def unpaired(size: int = 2, seed: int = 0) -> dict[str, Any]:
    """A batch of two domains."""
    first = 100 * seed
    return batch(
        [picture(first + n) for n in range(size)], [picture(first + 50 + n) for n in range(size)]
    )


def paired(size: int = 2, seed: int = 0) -> dict[str, Any]:
    """A batch of maps and photos."""
    first = 100 * seed
    return batch(
        [label_map(first + n) for n in range(size)], [picture(first + n) for n in range(size)]
    )
