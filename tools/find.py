"""Find objects by words, by an object that is like them, or by one with a word exchanged.

mmext find objects.index --text "red ball"
mmext find photos/ --checkpoint language.pth --text "green tree"
mmext find objects.index --like photo.jpg:0 --minus red --plus blue
"""

import sys

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.find import main
from mmext.errors import run_tool

if __name__ == '__main__':
    sys.exit(run_tool(main))
