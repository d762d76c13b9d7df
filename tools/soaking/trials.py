"""The kinds of trials, and how often each is drawn."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from soaking.accounts import Finding
from soaking.disturbed_trainings import train_disturbed
from soaking.ground import Ground


class Kind(NamedTuple):
    """A kind of trial.

    Attributes:
        weight: how often it is drawn, against the others.
        run: carries one out, in a folder of its own.
    """

    weight: float
    run: Callable[[Ground, Path, random.Random], Finding]


def _disturbed(kills: bool, outages: bool) -> Callable[[Ground, Path, random.Random], Finding]:
    def run(ground: Ground, folder: Path, rng: random.Random) -> Finding:
        return train_disturbed(
            ground.subject, ground.nursery, ground.server, folder, rng, (kills, outages)
        )

    return run


KINDS = {
    'kills': Kind(2, _disturbed(kills=True, outages=False)),
    'outages': Kind(1, _disturbed(kills=False, outages=True)),
    'both': Kind(2, _disturbed(kills=True, outages=True)),
}
