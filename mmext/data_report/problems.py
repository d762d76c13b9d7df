"""What is wrong with a data set, by its weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mmext.errors import InputError, input_error


class Weight(StrEnum):
    """What a problem does to a run, the heaviest first."""

    STOPS = 'stops the run'
    LEFT_OUT = 'is left out'
    LOOK = 'look at it'


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        weight: what it does to a run.
        where: the data set: ``train``, ``val, test``, or two of them.
        text: what is wrong, with the first example and, where there is one, the remedy.
    """

    weight: Weight
    where: str
    text: str


def by_weight(problems: Sequence[Problem]) -> list[Problem]:
    """The problems, the heaviest first, else in the order they were found; each once."""
    order = list(Weight)
    return sorted(dict.fromkeys(problems), key=lambda problem: order.index(problem.weight))


def reason_to_stop(problems: Sequence[Problem]) -> str | None:
    """One line for why a run would stop; None where it would not."""
    stops = [problem for problem in problems if problem.weight is Weight.STOPS]
    if not stops:
        return None
    more = f' (and {len(stops) - 1} more, see above)' if len(stops) > 1 else ''
    return f'{stops[0].where}: {stops[0].text}{more}'


def sentence(error: Exception) -> str:
    """One line for an error that reports wrong input; any other is raised again."""
    text = str(error) if isinstance(error, InputError) else input_error(error)
    if text is None:
        raise error
    return text
