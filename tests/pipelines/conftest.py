"""Make the panoptic set of the UPSNet tests known to the tests of this folder."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / 'upsnet'), str(Path(__file__).parent)]
