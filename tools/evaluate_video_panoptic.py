"""Video panoptic quality of a folder of predictions in the format of Cityscapes-VPS.

python tools/evaluate_video_panoptic.py predictions/ \
    --truth val/panoptic_gt_val_city_vps.json --truth-pngs val/panoptic_video
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmext.errors import InputError, run_tool


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', type=Path, help='folder with pred.json and pan_pred/')
    parser.add_argument('--truth', type=Path, required=True, help='panoptic JSON')
    parser.add_argument('--truth-pngs', type=Path, required=True, help='folder of its PNGs')
    parser.add_argument(
        '--windows', type=int, nargs='+', default=[1, 2, 3, 4], help='labelled frames (1 2 3 4)'
    )
    parser.add_argument(
        '--label-interval', type=int, default=5, help='frames from one label to the next (5)'
    )
    parser.add_argument(
        '--frames-per-video',
        type=int,
        help='so many labelled frames in a row are a video, where the truth does not say it',
    )
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='write all values')
    parser.add_argument(
        '--workers', type=int, default=min(8, os.cpu_count() or 1), help='threads that read PNGs'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says."""
    arguments = build_parser().parse_args(argv)
    if min(arguments.workers, arguments.label_interval) < 1:
        raise InputError('--workers and --label-interval: expected 1 or more')
    from mmext.cli.video_evaluation import evaluate_folder
    from mmext.metrics.panoptic.video_quality import checked_windows

    text, values = evaluate_folder(
        arguments.truth,
        arguments.truth_pngs,
        arguments.predictions,
        checked_windows(arguments.windows),
        arguments.label_interval,
        arguments.frames_per_video,
        arguments.workers,
    )
    print(text)
    if arguments.out:  # JSON has no nan
        known = {name: None if math.isnan(value) else value for name, value in values.items()}
        arguments.out.write_text(json.dumps(known, indent=2) + '\n', 'utf-8')


if __name__ == '__main__':
    sys.exit(run_tool(main))
