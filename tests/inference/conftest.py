"""Small detectors: of this folder, and of the tests of mixed precision."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / 'hooks/mixed_precision'))
