"""Panoptic quality of predictions in COCO's results format, of any model, side by side.

python tools/evaluate_panoptic.py upsnet.panoptic.json mask2former.json \
    --truth data/coco/annotations/panoptic_val2017.json

The PNGs of NAME.json are in the folder NAME beside it. The intervals hold 95 % of 1000 resamplings
of the images; those of a difference draw the same images for both files.
"""

import argparse
import json
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
    parser.add_argument('results', type=Path, nargs='+', metavar='RESULTS.json')
    parser.add_argument('--truth', type=Path, required=True, help='panoptic JSON')
    parser.add_argument(
        '--truth-pngs', type=Path, metavar='DIR', help='its PNGs (default: the folder of its name)'
    )
    parser.add_argument('--classwise', action='store_true', help='also a table of all classes')
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='write all values')
    parser.add_argument(
        '--workers', type=int, default=min(8, os.cpu_count() or 1), help='threads that read PNGs'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says."""
    arguments = build_parser().parse_args(argv)
    if arguments.workers < 1:
        raise InputError('--workers: expected 1 or more')
    from mmext.cli.panoptic_evaluation import as_json, class_table, evaluate_files, markdown

    evaluated, classes = evaluate_files(
        arguments.truth, arguments.truth_pngs, arguments.results, arguments.workers
    )
    print(markdown(evaluated))
    if arguments.classwise:
        print(f'\n{class_table(evaluated, classes)}')
    if arguments.out:
        arguments.out.write_text(json.dumps(as_json(evaluated), indent=2) + '\n', 'utf-8')


if __name__ == '__main__':
    sys.exit(run_tool(main))
