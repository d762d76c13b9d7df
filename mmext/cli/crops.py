"""The command ``mmext crops``: files of object crops."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmext.cli.arguments import add_cfg_options
from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.host import import_mmdet
from mmext.inference.checkpoints import load_checkpoint, load_weights
from mmext.inference.output_places import check_output_file
from mmext.translation.crop_bank import CropBank, write_crops
from mmext.translation.latent_directions import PROPERTIES, learn_direction

_BATCH = 64


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Write crops of objects with their masks: those of a data set, or made ones.'
    )
    parser.add_argument('config', help='as configs/translation/crops_demo.py')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.npz')
    parser.add_argument(
        '--checkpoint', help='of the generator; without it the crops of the data set are written'
    )
    parser.add_argument('--only', nargs='+', metavar='CLASS', help='classes (default all)')
    parser.add_argument('--count', type=int, default=100, help='made for each class (default 100)')
    parser.add_argument('--seed', type=int, default=0, help='of what is made')
    parser.add_argument(
        '--vary', choices=PROPERTIES, help='move what is made along the direction of a property'
    )
    parser.add_argument(
        '--by', type=float, default=1.5, help='at most so far, either way (default 1.5)'
    )
    add_cfg_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the crops that the command line names."""
    arguments = build_parser().parse_args(argv)
    if arguments.vary and not arguments.checkpoint:
        raise InputError('--vary: crops of a data set are what they are; give --checkpoint')
    if arguments.count < 1:
        raise InputError(f'--count: expected 1 or more, got {arguments.count}')
    check_output_file('--out', arguments.out)
    config = load_config(arguments.config, arguments.cfg_options)
    dataset = config.train_dataloader.dataset
    if not str(dataset.type).endswith('ObjectCrops') or config.model.type != 'mmext.CropGAN':
        raise InputError(
            f'{arguments.config}: expected a config of mmext.CropGAN on mmext.ObjectCrops, as '
            'mmext::translation/crops_demo.py'
        )
    import_mmdet()
    made = made_crops(config, arguments) if arguments.checkpoint else real_crops(config)
    bank = made if arguments.only is None else made.of_classes(arguments.only)
    write_crops(arguments.out, bank)
    counts = np.bincount(bank.labels, minlength=len(bank.classes))
    said = ', '.join(f'{n} {name}' for name, n in zip(bank.classes, counts, strict=True) if n)
    print(f'{arguments.out}: {said}')


def real_crops(config: Any) -> CropBank:
    """Every whole object of the data set."""
    from mmext.registry import DATASETS

    bank: CropBank = DATASETS.build(config.train_dataloader.dataset).bank()
    return bank


def made_crops(config: Any, arguments: argparse.Namespace) -> CropBank:
    """What the generator makes of each class."""
    import torch

    from mmext.registry import MODELS
    from mmext.translation.crop_gan import latent_vectors

    model = MODELS.build(config.model)
    load_weights(model, load_checkpoint(arguments.checkpoint), arguments.checkpoint)
    model.eval()
    classes = tuple(config.train_dataloader.dataset.dataset.metainfo.classes)

    def make(latents: Any, labels: Any) -> Any:
        pairs = zip(
            torch.from_numpy(latents).split(_BATCH),
            torch.from_numpy(labels).split(_BATCH),
            strict=True,
        )
        return np.concatenate([model.make(y, latent=z).numpy() for z, y in pairs])

    wanted = [label for label, name in enumerate(classes) if name in (arguments.only or classes)]
    dim = model.generator.latent_dim
    crops = []
    for label in wanted:
        latents = latent_vectors(arguments.count, dim, arguments.seed + label).numpy()
        if arguments.vary:
            way = learn_direction(make, dim, label, arguments.vary)
            print(
                f'{classes[label]}: {arguments.vary} changes by {way.slope:.1f} a step; the '
                f'direction explains {100 * way.explained:.0f} % of it'
            )
            rng = np.random.default_rng(arguments.seed)
            steps = rng.uniform(-arguments.by, arguments.by, (arguments.count, 1))
            latents = (latents + steps * way.vector).astype(np.float32)
        crops.append(make(latents, np.full(arguments.count, label)))
    labels = np.repeat(wanted, arguments.count)
    return CropBank(np.concatenate(crops), labels, classes)
