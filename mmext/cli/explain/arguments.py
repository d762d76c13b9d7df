"""Flags that several sub-commands of ``mmext explain`` have."""

import argparse
from pathlib import Path
from typing import Any

from mmext.cli.arguments import add_cfg_options, add_trust, trust_checkpoints
from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.host import import_mmdet
from mmext.inference.checkpoints import check_exists
from mmext.inference.output_places import check_output_folder


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name a detector."""
    parser.add_argument('--checkpoint', required=True, help='trained weights')
    parser.add_argument('--config', help='config file (default: the one stored in the checkpoint)')
    add_cfg_options(parser)
    parser.add_argument('--device', default='auto', help='cpu, cuda:0, ... (default: GPU if any)')
    add_trust(parser)
    parser.add_argument(
        '--allow-partial',
        action='store_true',
        help='accept a checkpoint that lacks some of the weights',
    )


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--out``, a folder."""
    parser.add_argument(
        '--out', type=Path, default=Path(default), metavar='DIR',
        help=f'folder for all results (default: {default})',
    )  # fmt: skip


def add_split(parser: argparse.ArgumentParser, default: str = 'val') -> None:
    """Add ``--split``."""
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default=default,
        help=f'data set of the config (default {default})',
    )  # fmt: skip


def add_drawing_of_chance(parser: argparse.ArgumentParser) -> None:
    """Add ``--seed``."""
    parser.add_argument('--seed', type=int, default=0, help='of all that is drawn (default 0)')


def positive(text: str) -> int:
    """A number of 1 or more, as a type of ``argparse``."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'expected 1 or more, got {text}')
    return number


def load_explainer(arguments: argparse.Namespace) -> Any:
    """The explainer of the detector that the flags name; looks at everything else first.

    Raises:
        InputError: no such files, or nothing can be written to ``--out``.
    """
    if arguments.cfg_options and not arguments.config:
        raise InputError('--cfg-options needs --config')
    if getattr(arguments, 'out', None) is not None:
        check_output_folder('--out', arguments.out)
    check_exists(arguments.checkpoint)
    trust_checkpoints(arguments)
    config = load_config(arguments.config, arguments.cfg_options) if arguments.config else None
    import_mmdet()

    from mmext.explain.explainer import Explainer
    from mmext.inference.model import Model
    from mmext.inference.prediction import load_predictor

    predictor = load_predictor(
        config, arguments.checkpoint, arguments.device, arguments.allow_partial, 'fp32'
    )
    return Explainer(Model(predictor))
