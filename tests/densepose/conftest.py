"""The modules that tests of this folder share, and those of others."""

import sys
from pathlib import Path

for folder in ('densepose', 'landmarks'):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
