"""The kinds of trials, and how often each is drawn."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from soaking.accounts import Finding
from soaking.disturbed_trainings import train_disturbed
from soaking.ground import Ground
from soaking.misfed_programs import KINDS as MISFED


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


def _misfed(kind: str) -> Callable[[Ground, Path, random.Random], Finding]:
    def run(ground: Ground, folder: Path, rng: random.Random) -> Finding:
        return MISFED[kind](ground.fodder, ground.nursery, folder, rng)

    return run


KINDS = {
    'kills': Kind(2, _disturbed(kills=True, outages=False)),
    'outages': Kind(1, _disturbed(kills=False, outages=True)),
    'both': Kind(2, _disturbed(kills=True, outages=True)),
    **{name: Kind(2, _misfed(name)) for name in MISFED},
}
