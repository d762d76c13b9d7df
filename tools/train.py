"""Train a model of a config.

python tools/train.py configs/upsnet.py --work-dir work_dirs/upsnet
torchrun --nproc-per-node 8 tools/train.py configs/upsnet.py --launcher pytorch --auto-scale-lr
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_run_arguments, add_trust, trust_checkpoints
from mmext.cli.launch import launched
from mmext.configuration import (
    add_resuming,
    apply_run_arguments,
    load_config,
    remove_pretrained,
    thaw_pretrained,
)
from mmext.errors import InputError, run_tool
from mmext.host import import_mmdet
from mmext.host_repairs.configs import adapt_config
from mmext.inference.checkpoints import (
    check_exists,
    check_finite,
    check_pretrained,
    load_checkpoint,
    load_weights,
    resolve_torchvision,
)
from mmext.inference.output_places import check_output_file, check_output_folder
from mmext.pipelines.data_checks import check_data


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    add_run_arguments(parser)
    add_trust(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without a name from the last one in the work directory',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by batch size, from auto_scale_lr.base_batch_size',
    )
    parser.add_argument(
        '--no-pretrained',
        action='store_true',
        help='start from random weights: no pretrained backbone and nothing of it frozen, '
        'no load_from',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    arguments = build_parser().parse_args(argv)
    config = load_config(arguments.config, arguments.cfg_options)
    apply_run_arguments(config, arguments)
    if arguments.no_pretrained:
        if thawed := thaw_pretrained(config):
            print(f'--no-pretrained: what was frozen learns: {", ".join(thawed)}')
        remove_pretrained(config)
    if arguments.auto_scale_lr:
        enable_auto_scale_lr(config)
    add_resuming(config)
    trust_checkpoints(arguments)
    if arguments.resume or (config.get('resume') and not config.get('load_from')):
        resume(config, arguments.resume or 'auto')
    for line in adapt_config(config, single_process=config.launcher == 'none'):
        print(line)
    check_output_folder('the work directory', Path(config.work_dir))
    check_output_file('of the work directory', Path(config.work_dir, 'last_checkpoint'))
    check_data(config, ('train', 'val'))
    if config.get('load_from'):
        check_exists(config.load_from)
    with launched(config, arguments.local_rank):
        train(config)


def enable_auto_scale_lr(config: Config) -> None:
    """Let mmengine scale the learning rate, from the batch size the config was made for."""
    if 'base_batch_size' not in (config.get('auto_scale_lr') or {}):
        raise InputError(
            '--auto-scale-lr: the config does not say for how many images a step its learning '
            'rate was chosen; set auto_scale_lr=dict(base_batch_size=...)'
        )
    config.auto_scale_lr.enable = True


def resume(config: Config, checkpoint: str) -> None:
    """Go on from a checkpoint, ``'auto'`` for the last one in the work directory."""
    from mmext.inference.resuming import checkpoint_to_resume

    named = None if checkpoint == 'auto' else checkpoint
    found, said = checkpoint_to_resume(config.work_dir, named)
    if found is None:
        print(f'--resume: no checkpoint in {config.work_dir}, training starts from the beginning')
        # a log goes on in the run of the attempt that died; mmengine would resume from load_from
        config.resume = not config.get('load_from')
        return
    if said:
        print(said)
    config.resume, config.load_from = True, found


def train(config: Config) -> None:
    """Check the weights, build the runner and train."""
    import_mmdet()
    from mmext.cli.terminal import TerminalRunner, say_end

    resolve_torchvision(config)
    check_pretrained(config)
    checkpoint = load_checkpoint(config.load_from) if config.get('load_from') else None
    if checkpoint is not None and config.get('resume'):
        check_resumable(checkpoint, config)
    runner = TerminalRunner.from_cfg(config)
    if checkpoint is not None:
        load_weights(
            getattr(runner.model, 'module', runner.model),
            checkpoint,
            config.load_from,
            allow_partial=not config.get('resume'),
        )
    del checkpoint  # the runner reads it again; its memory is for the training
    runner.train()
    say_end(runner)


def check_resumable(checkpoint: Mapping[str, Any], config: Config) -> None:
    """Refuse what would not go on as before; take the seed that the config does not name.

    mmengine takes it too, but only after the order of the images was drawn.
    """
    from mmext.inference.resuming import beyond_the_end, missing_for_resume

    missing = missing_for_resume(checkpoint) or beyond_the_end(checkpoint, config.train_cfg)
    if missing:
        raise InputError(f'checkpoint {config.load_from} cannot be resumed: {missing}')
    check_finite(checkpoint, config.load_from, resumes=True)
    randomness = config.get('randomness') or {}
    if randomness.get('seed') is None and checkpoint['meta'].get('seed') is not None:
        config.randomness = {**randomness, 'seed': checkpoint['meta']['seed']}


if __name__ == '__main__':
    sys.exit(run_tool(main))
