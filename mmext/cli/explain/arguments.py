"""Flags that several sub-commands of ``mmext explain`` have."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmext.cli.arguments import add_cfg_options, add_trust, trust_checkpoints
from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.host import import_mmdet
from mmext.inference.checkpoints import check_exists
from mmext.inference.media import Images, open_source
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


def add_mlflow(parser: argparse.ArgumentParser) -> None:
    """Add ``--mlflow``."""
    parser.add_argument(
        '--mlflow', metavar='URI',
        help='also put the report into this MLflow server or store, in the run that trained the '
        'checkpoint',
    )  # fmt: skip


def send_to_mlflow(
    arguments: argparse.Namespace, curves: Mapping[str, float] = MappingProxyType({})
) -> None:
    """Send what lies in ``--out``, as artifacts below ``explain/``, if ``--mlflow`` asks for it.

    Raises:
        InputError: the store did not take it.
    """
    if not arguments.mlflow:
        return
    from mmext.hooks.mlflow_logging.log_checkpoint import log_files

    kept = ('.html', '.csv', '_sheet.jpg')
    files = {
        f'explain/{path.name}': path
        for path in sorted(arguments.out.iterdir())
        if path.name.endswith(kept)
    }
    config = load_config(arguments.config, arguments.cfg_options) if arguments.config else None
    run, delivered = log_files(arguments.checkpoint, files, curves, config, arguments.mlflow)
    if not delivered:
        raise InputError(f'--mlflow {arguments.mlflow}: not sent; the files are in {arguments.out}')
    print(f'logged in run {run.run_id}')


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


def open_pictures(spec: str) -> Images:
    """An image, or a folder of images.

    Raises:
        InputError: there is none, or it is a video or a camera.
    """
    source = open_source(spec)
    if not isinstance(source, Images):
        raise InputError(f'{spec}: a video; name an image or a folder of images')
    return source


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
