"""Check, download or convert a data set.

python tools/prepare_data.py coco --root data/coco
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from mmext.cli.prepare.data_sets import DATA_SETS
from mmext.errors import run_tool


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    names = parser.add_subparsers(dest='name', required=True, metavar='NAME')
    for name, data_set in DATA_SETS.items():
        module = importlib.import_module(data_set.module)
        of_set = names.add_parser(
            name, help=data_set.summary, description=module.__doc__, formatter_class=raw
        )
        module.add_arguments(of_set)
        of_set.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare what the command line names."""
    arguments = build_parser().parse_args(argv)
    arguments.run(arguments)


if __name__ == '__main__':
    sys.exit(run_tool(main))
