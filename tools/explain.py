"""Look inside a detector: why it said it, what it holds, and where it is wrong.

mmext explain detections photo.jpg --checkpoint upsnet.pth --out explained
mmext explain detections photos/ --checkpoint upsnet.pth --select missed --truth annotations.json
mmext explain COMMAND --help
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.errors import run_tool

COMMANDS = (
    *('detections', 'check', 'activations', 'imagine', 'channels'),
    *('index', 'neighbours', 'plot', 'errors'),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name in COMMANDS:
        module = importlib.import_module(f'mmext.cli.explain.{name}')
        command = commands.add_parser(name, help=module.SUMMARY, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the command line names."""
    arguments = build_parser().parse_args(argv)
    arguments.run(arguments)


if __name__ == '__main__':
    sys.exit(run_tool(main))
