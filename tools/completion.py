"""Print the script by which bash completes mmext's commands and their options.

Put `eval "$(mmext completion bash)"` into ~/.bashrc.
"""

import argparse
import sys
from collections.abc import Sequence

from mmext.__main__ import find_tool, purposes
from mmext.cli.completion import bash_script, words_of
from mmext.errors import run_tool


def main(argv: Sequence[str] | None = None) -> None:
    """Print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('shell', choices=('bash',))
    parser.parse_args(argv)
    print(bash_script({name: words_of(find_tool(name)) for name in purposes()}), end='')


if __name__ == '__main__':
    sys.exit(run_tool(main))
