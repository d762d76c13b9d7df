"""Command-line flags that several programs have, with the names mmdetection's users know."""

import argparse
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction

from mmext.hooks.mixed_precision.policy import PRECISIONS


class OptionsAction(DictAction):
    """``key=value`` pairs as a dict; mmengine's action, with a usage error for anything else."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Check every pair before mmengine splits it."""
        for pair in [values] if isinstance(values, str) else values or ():
            if '=' not in pair:
                parser.error(f'{option_string}: expected key=value, got {pair!r}')
            if not all(pair.partition('=')[0].split('.')):
                parser.error(f'{option_string}: a part of the key is empty in {pair!r}')
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, ValueError) as error:
            parser.error(f'{option_string}: {error}')


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        default={},
        metavar='KEY=VALUE',
        help='settings that replace those of the config, as model.backbone.depth=18 or '
        'key="[a,b]"; data_root=DIR moves every path below the data_root of the config',
    )


def add_score_threshold(parser: argparse.ArgumentParser) -> None:
    """Add ``--score-thr``."""
    parser.add_argument(
        '--score-thr',
        type=_score,
        default=0.3,
        metavar='SCORE',
        help='lowest score of a drawn box (default 0.3)',
    )


def add_precision(parser: argparse.ArgumentParser, default: str | None, meaning: str) -> None:
    """Add ``--precision``.

    Args:
        parser: gets the flag.
        default: what it is without the flag.
        meaning: of the choices and of the default, for ``--help``.
    """
    parser.add_argument('--precision', choices=PRECISIONS, default=default, help=meaning)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-checkpoint``; :func:`trust_checkpoints` acts on it."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read checkpoints that may run code, as you know who made them '
        '(default: only data is read)',
    )


def trust_checkpoints(arguments: argparse.Namespace) -> None:
    """Read checkpoints in this process as ``--trust-checkpoint`` says."""
    from mmext.host_repairs import checkpoint_reading  # imports torch: only once it is needed

    checkpoint_reading.trust_checkpoints(arguments.trust_checkpoint)


def _score(text: str) -> float:
    score = float(text)
    if not 0 <= score <= 1:
        raise argparse.ArgumentTypeError(f'expected a number from 0 to 1, got {text}')
    return score


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of programs that build a runner."""
    parser.add_argument(
        '--work-dir', metavar='DIR', help='logs and checkpoints (default work_dirs/<config name>)'
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--mlflow',
        metavar='URI|off',
        help='log to this MLflow server or store, as http://host:5000 or sqlite:///runs.db; off: '
        'do not log to MLflow (default: as the config says)',
    )
    add_precision(
        parser,
        None,
        'train, validate and test in this precision; auto: bf16 or fp16 where the device '
        'computes it natively, else fp32 (default: as the config says)',
    )
    parser.add_argument('--seed', type=int, help='seed of all random generators')
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='what started the processes of a distributed run (pytorch: torchrun)',
    )
    # given by torch.distributed.launch; torchrun sets LOCAL_RANK instead
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
