r"""Write crops of objects with their masks: those of a data set, or made by a generator.

mmext crops configs/translation/crops_demo.py --out real.npz --only fish
mmext crops configs/translation/crops_demo.py --checkpoint crops.pth --only fish --count 200 \
    --vary light --out made.npz

The file is for mmext.PasteCrops in the pipeline of a detector.
"""

import sys

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.crops import main
from mmext.errors import run_tool

if __name__ == '__main__':
    sys.exit(run_tool(main))
