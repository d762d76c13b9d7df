"""Print what is installed, what the machine can do, and what is missing for what."""

import argparse
import sys
from collections.abc import Sequence

from mmext.errors import run_tool


def main(argv: Sequence[str] | None = None) -> None:
    """Print it."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)

    from mmext.cli.installation import installation_lines

    for line in installation_lines():
        print(line)


if __name__ == '__main__':
    sys.exit(run_tool(main))
