"""Makes the modules that tests of this folder share importable."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
for folder in ('centernet', 'landmarks'):
    sys.path.insert(0, str(TESTS / folder))
