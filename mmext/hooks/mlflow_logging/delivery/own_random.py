"""Random numbers of MLflow, apart from those of the training.

MLflow and its HTTP client draw from Python's global generator: waits between attempts, names of
runs. The sending thread lives in the process of the training, whose transforms and samplers draw
from the same one. What a training learns would hang on when a server did not answer.
"""

import random
import sys

_DRAWING = ('mlflow', 'urllib3')
_OWN = random.Random()  # seeded by the system


def keep_random_apart() -> None:
    """Give the modules that are loaded of MLflow and urllib3 a generator of their own."""
    for name, module in list(sys.modules.items()):
        if name.partition('.')[0] in _DRAWING and vars(module).get('random') is random:
            module.random = _OWN  # type: ignore[attr-defined]
