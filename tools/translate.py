r"""Translate photos of a folder or a video, or make photos from label maps.

mmext translate cyclegan_demo.py cyclegan.pth --data photos/ --out photos_night/
mmext translate cyclegan_demo.py cyclegan.pth --data photos/ --out photos_night/ \
    --ann instances.json --check night_demo.py night.pth
mmext translate pix2pix_demo.py pix2pix.pth --split val --out made/

Files keep their names and annotations their ids: a config joins both folders by ConcatDataset.
What is there already is left: the same command goes on where it was stopped. --check compares what
a detector finds before and after, says what vanished, and leaves such objects out of the
annotations; it should know both lights (mmext.MatchAppearance), or all that is dark has vanished.
"""

import sys

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.translate import main
from mmext.errors import run_tool

if __name__ == '__main__':
    sys.exit(run_tool(main))
