"""Mask AP of a video model by the age of the key frame, and what key frames cost.

python tools/evaluate_key_frames.py configs/yolact_edge_video_demo.py \
    work_dirs/yolact_edge_video_demo/iter_150.pth --out key_frames

Beside the model stand the masks of the key frame, shown again, and the image model on every frame.
Writes to --out: key_frames.json, and key_frames.png, the trade-off over intervals of key frames.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_cfg_options, add_trust, trust_checkpoints
from mmext.configuration import load_config
from mmext.errors import InputError, run_tool
from mmext.host import import_mmdet
from mmext.inference.checkpoints import check_exists
from mmext.inference.output_places import check_output_folder, writing
from mmext.pipelines.data_checks import check_data


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='trained weights')
    add_cfg_options(parser)
    add_trust(parser)
    parser.add_argument('--ages', type=int, default=5, help='frames from key to key at most (5)')
    parser.add_argument(
        '--precisions',
        nargs='+',
        default=['fp32', 'bf16'],
        choices=('fp32', 'bf16', 'fp16'),
        help='of the times (fp32 bf16); AP is that of fp32',
    )
    parser.add_argument('--timed-frames', type=int, default=40, help='of each precision (40)')
    parser.add_argument('--out', type=Path, default=Path('key_frames'), metavar='DIR')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says."""
    arguments = build_parser().parse_args(argv)
    if arguments.ages < 2 or arguments.timed_frames < arguments.ages:
        raise InputError('--ages: expected 2 or more, and --timed-frames at least as many')
    check_exists(arguments.checkpoint)
    check_output_folder('--out', arguments.out)
    trust_checkpoints(arguments)
    config = load_config(arguments.config, arguments.cfg_options)
    check_data(config, ('test',))
    import_mmdet()

    from mmext.benchmark.key_frames import measure, plot

    report = measure(
        config,
        arguments.checkpoint,
        arguments.ages,
        arguments.precisions,
        arguments.timed_frames,
    )
    print(report.table())
    with writing(arguments.out):
        arguments.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.plain(), indent=2) + '\n'
        (arguments.out / 'key_frames.json').write_text(text, 'utf-8')
    plot(report, arguments.out / 'key_frames.png')
    print(f'{report.frames} frames at each age; the plot is {arguments.out / "key_frames.png"}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
