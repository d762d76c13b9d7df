"""Evaluate a checkpoint on the test data set of its config.

python tools/test.py configs/upsnet.py work_dirs/upsnet/iter_90000.pth --show-dir pictures
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_run_arguments, add_score_threshold, add_trust, trust_checkpoints
from mmext.cli.launch import launched
from mmext.configuration import (
    apply_run_arguments,
    load_config,
    remove_pretrained,
    use_test_time_augmentation,
)
from mmext.errors import run_tool
from mmext.host import import_mmdet
from mmext.host_repairs.configs import adapt_config
from mmext.inference.checkpoints import check_exists, load_checkpoint, load_weights
from mmext.inference.output_places import check_output_file, check_output_folder
from mmext.pipelines.data_checks import check_data


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='trained weights')
    add_run_arguments(parser)
    add_trust(parser)
    parser.add_argument(
        '--tta', action='store_true', help='augment the images as the config says: several scales'
    )
    parser.add_argument('--out', metavar='FILE.pkl', help='pickle all predictions into this file')
    parser.add_argument(
        '--show-dir', type=Path, metavar='DIR', help='draw every prediction beside its photo'
    )
    add_score_threshold(parser)
    parser.add_argument(
        '--allow-partial',
        action='store_true',
        help='accept a checkpoint that lacks some of the weights',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.out and not arguments.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out: expected a name that ends in .pkl or .pickle, got {arguments.out}')
    config = load_config(arguments.config, arguments.cfg_options)
    # the predictions have a precision of their own, the training's stays as the config says
    precision, arguments.precision = arguments.precision, None
    apply_run_arguments(config, arguments)
    if arguments.tta:
        use_test_time_augmentation(config)
    remove_pretrained(config)
    for line in adapt_config(config, single_process=config.launcher == 'none'):
        print(line)
    check_output_folder('the work directory', Path(config.work_dir))
    check_data(config, ['test'])
    check_exists(arguments.checkpoint)
    trust_checkpoints(arguments)
    if arguments.out:
        check_output_file('--out', Path(arguments.out))
    if arguments.show_dir:
        check_output_folder('--show-dir', arguments.show_dir)
    with launched(config, arguments.local_rank):
        test(config, arguments, precision)


def test(config: Config, arguments: argparse.Namespace, precision: str | None) -> None:
    """Check the weights, build the runner and evaluate."""
    import_mmdet()
    from mmdet.evaluation import DumpDetResults

    from mmext.cli.terminal import TerminalRunner
    from mmext.inference.drawing_hook import DrawPredictionsHook
    from mmext.inference.fast_test_hook import FastTestHook
    from mmext.inference.prediction import image_loader
    from mmext.inference.stand_ins_hook import use_stand_ins

    checkpoint = load_checkpoint(arguments.checkpoint)
    config.load_from = arguments.checkpoint
    stand_ins = use_stand_ins(config)
    runner = TerminalRunner.from_cfg(config)
    model = runner.model
    while hasattr(model, 'module'):  # of several processes, of augmentation
        model = model.module
    load_weights(model, checkpoint, arguments.checkpoint, arguments.allow_partial)
    runner.register_hook(stand_ins)
    runner.register_hook(FastTestHook(precision))
    if arguments.show_dir:
        read = image_loader(config).read
        runner.register_hook(DrawPredictionsHook(arguments.show_dir, arguments.score_thr, read))
    if arguments.out:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=arguments.out))
    runner.test()


if __name__ == '__main__':
    sys.exit(run_tool(main))
