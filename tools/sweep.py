"""Train a config with many values of anything in it, and find the best.

mmext sweep mine.py --search 'optim_wrapper.optimizer.lr=1e-4:1e-2:log' 'model.backbone.depth=18,34'
mmext sweep mine.py --search 'train_dataloader.batch_size=2,4,8' --sampler grid
mmext sweep mine.py                # the values stand in it: sweep = dict(search={'...': '...'})

Each trial is an `mmext train` of its own, in a folder of its own, and a run in MLflow below one of
the sweep. Each validation is reported; trials that the others leave behind are stopped. The same
command goes on with a sweep that was stopped or killed, also in the middle of a trial. Started
several times at once (CUDA_VISIBLE_DEVICES=1 mmext sweep ...), each takes other trials.
Needs optuna: pip install 'mmext[sweep]'.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_precision
from mmext.errors import InputError, run_tool
from mmext.sweep.studies import PRUNERS, SAMPLERS


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--search', nargs='+', action='extend', default=[], metavar='KEY=VALUES',
        help='a range LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP, or choices A,B,C',
    )  # fmt: skip
    parser.add_argument(
        '--trials',
        type=int,
        help='in all, those of earlier starts included (default 20; all of a grid)',
    )
    parser.add_argument(
        '--metric', help='what is judged, as coco/bbox_mAP (default: save_best of the config)'
    )
    parser.add_argument('--minimize', action='store_true', help='less is better')
    parser.add_argument(
        '--sampler', choices=SAMPLERS, default='tpe', help='how values are chosen (default tpe)'
    )
    parser.add_argument(
        '--pruner', choices=PRUNERS, default='median',
        help='which trials are stopped: those below the median of the others at that point '
        '(default), all but the best quarter of each round (halving), none',
    )  # fmt: skip
    parser.add_argument('--name', default='sweep', help='of the sweep (default sweep)')
    parser.add_argument(
        '--work-dir',
        type=Path,
        metavar='DIR',
        help='(default work_dirs/<config name>_<sweep name>)',
    )
    parser.add_argument(
        '--storage', metavar='URL', help='of the study (default: study.db in the work directory)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the draws and of every training')
    parser.add_argument(
        '--cfg-options', nargs='+', action='extend', default=[], dest='options',
        metavar='KEY=VALUE', help='settings of every training',
    )  # fmt: skip
    parser.add_argument(
        '--mlflow',
        metavar='URI|off',
        help='where the runs go (default: mlflow.db in the work directory)',
    )
    parser.add_argument('--no-pretrained', action='store_true', help='as of mmext train')
    parser.add_argument('--auto-scale-lr', action='store_true', help='as of mmext train')
    add_precision(parser, None, 'of every training')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Sweep as the command line says."""
    arguments = build_parser().parse_args(argv)
    if arguments.trials is not None and arguments.trials < 1:
        raise InputError(f'--trials: expected at least 1, got {arguments.trials}')

    from mmext.cli.sweep_plan import default_work_dir, plan_of
    from mmext.hooks.mlflow_logging.delivery.group_note import note_group
    from mmext.sweep import studies, sweep, table

    arguments.work_dir = arguments.work_dir or default_work_dir(arguments.config, arguments.name)
    studies.optuna()
    plan = plan_of(arguments)
    plan.work_dir.mkdir(parents=True, exist_ok=True)
    address = arguments.storage or f'sqlite:///{(plan.work_dir / "study.db").absolute()}'
    study = studies.open_study(
        address, arguments.name, plan.space, plan.judging, arguments.sampler, arguments.seed
    )
    print(f'{plan.trials} trials in {plan.work_dir}, judged by {plan.judging.metric}', flush=True)
    try:
        sweep.run(study, address, plan, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        print('\nthe same command goes on where it was')
        raise
    finally:
        keys = list(plan.space)
        table.write_csv(plan.work_dir / 'trials.csv', study, plan.judging, keys)
        Console(file=sys.stdout).print(table.table(study, plan.judging, keys))
        is_measured = any(value is not None for _, value in table.ranked(study, plan.judging))
        if plan.tracking_uri != 'off' and is_measured:
            note_group(plan.tracking_uri, plan.group, 'sweep', table.markdown(study, plan))
    for line in table.best_lines(study, plan):
        print(line)


if __name__ == '__main__':
    sys.exit(run_tool(main))
