"""What of a detection is explained, by name: its score, an edge of its box, its mask, ...

Words only: how each becomes a function of the input is in :mod:`.named_targets`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from mmext.errors import InputError

EDGES = {'left': 0, 'top': 1, 'right': 2, 'bottom': 3}
FORMS = ('score', 'logit', 'edge:left|top|right|bottom', 'size', 'keypoint:K', 'keypoint:K:x|y',
         'mask', 'area', 'contrast:CLASS', 'contrast:CLASS-OTHER', 'segment:NAME',
         'class:CLASS')  # fmt: skip
SCORES = ('score', 'logit')
WHOLES = ('segment', 'class')  # of the picture, not of a detection


class Quantity(NamedTuple):
    """A number that a detector puts out.

    Attributes:
        kind: the word before the colon.
        name: what is behind it: of an edge, a class, a segment.
        number: of a key point.
        axis: 0 (x) or 1 (y) of a key point's place; None: its score.
    """

    kind: str
    name: str = ''
    number: int = 0
    axis: int | None = None

    @property
    def is_score(self) -> bool:
        """Whether it is the score of the detection, or its log-odds."""
        return self.kind in SCORES


def parse_quantity(text: str) -> Quantity:
    """The number that a text names.

    Raises:
        InputError: it names none; the message has all forms.

    >>> parse_quantity('edge:left')
    Quantity(kind='edge', name='left', number=0, axis=None)
    >>> parse_quantity('keypoint:3:y')
    Quantity(kind='keypoint', name='', number=3, axis=1)
    """
    kind, _, rest = text.partition(':')
    if kind in (*SCORES, 'mask', 'area', 'size') and not rest and ':' not in text:
        return Quantity(kind)
    if kind == 'edge' and rest in EDGES:
        return Quantity(kind, rest)
    if kind in ('segment', 'contrast', 'class') and rest:
        return Quantity(kind, rest)
    if kind == 'keypoint':
        number, _, axis = rest.partition(':')
        if number.isdigit() and axis in ('', 'x', 'y'):
            return Quantity(kind, '', int(number), None if not axis else 'xy'.index(axis))
    raise InputError(f'target {text!r}: expected one of {", ".join(FORMS)}')


def contrasted(name: str, classes: Sequence[str], own: int) -> tuple[int, int]:
    """The two classes of a contrast, by number.

    Args:
        name: ``CLASS``, against which the own class is put, or ``CLASS-OTHER``.
        classes: of the detector; names may have a hyphen.
        own: the class of the detection.

    Raises:
        InputError: the detector has no such classes, or it is one class twice.
    """
    found = [(own, label) for label, other in enumerate(classes) if other == name]
    found += [
        (first, second)
        for first, one in enumerate(classes)
        for second, other in enumerate(classes)
        if name == f'{one}-{other}'
    ]
    if not found:
        raise InputError(
            f'target contrast:{name}: expected CLASS or CLASS-OTHER of {", ".join(classes)}'
        )
    if found[0][0] == found[0][1]:
        raise InputError(f'target contrast:{name}: a class against itself')
    return found[0]
