"""The trainings of milliseconds of the room of mixed precision, which this room rests on."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'mixed_precision'))
sys.path.insert(0, str(Path(__file__).parent))
