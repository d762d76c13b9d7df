"""Questions of a small closed form about the objects of an image.

    how many red balls are left of the crate?
    is there a green tree?            what color is the fish below the tree?

Objects are what their embeddings say: the nearest class word and the nearest color word. Places are
those of the middles of boxes. Nothing of the answer is learned.

Shape legend: n objects, D numbers.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.language.table import TextTable, plain_name
from mmext.metrics.language.object_words import number_forms

RELATIONS = ('left of', 'right of', 'above', 'below')
UNKNOWN = 'unknown'
_FORMS = (
    ('count', re.compile(r'how many (?P<what>.+)')),
    ('exists', re.compile(r'(?:is|are) there (?:an? |any )?(?P<what>.+)')),
    ('color', re.compile(r'what colou?r is (?:the |a )?(?P<what>.+)')),
)
_RELATED = re.compile(rf'(.+?)(?: (?:is|are))? ({"|".join(RELATIONS)}) (?:the |an? )?(.+)')


class Thing(NamedTuple):
    """What is known of an object; '' where nothing is."""

    name: str
    color: str
    middle_xy: tuple[float, float]


class Phrase(NamedTuple):
    """What an object has to be; '' for anything."""

    name: str
    color: str

    def fits(self, thing: Thing) -> bool:
        """Whether an object is such a one."""
        return self.name in ('', thing.name) and self.color in ('', thing.color)


class Question(NamedTuple):
    """A question.

    Attributes:
        kind: 'count', 'exists' or 'color'.
        what: is asked about.
        relation: of :data:`RELATIONS`, or ''.
        to: what it has that relation to.
    """

    kind: str
    what: Phrase
    relation: str = ''
    to: Phrase = Phrase('', '')


def parse_question(text: str, classes: Sequence[str], colors: Sequence[str]) -> Question:
    """A question from its words.

    Args:
        text: in one of the forms of the module.
        classes: that may be asked about, in singular; plurals are understood.
        colors: that may be asked about.

    Raises:
        InputError: it has another form, or a word that is neither a class nor a color.

    >>> parse_question('How many red balls?', ['ball'], ['red']).what
    Phrase(name='ball', color='red')
    """
    plain = ' '.join(text.lower().rstrip(' ?').split())
    for kind, form in _FORMS:
        if found := form.fullmatch(plain):
            what, relation, other = found['what'], '', ''
            if related := _RELATED.fullmatch(what):
                what, relation, other = related.groups()
            to = _phrase(other, classes, colors, text) if other else Phrase('', '')
            return Question(kind, _phrase(what, classes, colors, text), relation, to)
    raise InputError(
        f'{text!r}: ask "how many ...", "is there a ...", or "what color is the ...", with '
        f'{", ".join(RELATIONS)} "the ..." behind it or not'
    )


def answer(question: Question, things: Sequence[Thing]) -> str:
    """The answer: a number, 'yes' or 'no', or a color; :data:`UNKNOWN` if no object is meant.

    An object has a relation to several if it has it to any of them.
    """
    others = [thing for thing in things if question.to.fits(thing)]
    if question.relation and not others:
        return UNKNOWN
    chosen = [
        thing
        for thing in things
        if question.what.fits(thing)
        and (
            not question.relation
            or any(
                related(thing.middle_xy, question.relation, other.middle_xy)
                for other in others
                if other is not thing
            )
        )
    ]
    if question.kind == 'count':
        return str(len(chosen))
    if question.kind == 'exists':
        return 'yes' if chosen else 'no'
    colors = [thing.color for thing in chosen if thing.color]
    return max(sorted(set(colors)), key=colors.count) if colors else UNKNOWN


def related(point_xy: tuple[float, float], relation: str, other_xy: tuple[float, float]) -> bool:
    """Whether a point is left of, right of, above or below another, px."""
    axis = 0 if relation in ('left of', 'right of') else 1
    difference = point_xy[axis] - other_xy[axis]
    return difference < 0 if relation in ('left of', 'above') else difference > 0


def things_of(
    embeddings: npt.NDArray[np.floating[Any]],
    boxes_xyxy: npt.NDArray[np.floating[Any]],
    words: TextTable,
    groups: Mapping[str, Sequence[str]],
) -> list[Thing]:
    """Objects as their embeddings say.

    Args:
        embeddings: ``[n, D]``.
        boxes_xyxy: ``[n, 4]`` px.
        words: their table.
        groups: the words for ``'class'`` and for ``'color'``; the nearest of each is said.
    """
    said = {}
    for kind in ('class', 'color'):
        names = [plain_name(name) for name in groups[kind]]
        vectors = words.vectors[words.rows(names)] if names else np.zeros((0, 1))
        nearest = (embeddings @ vectors.T).argmax(1) if names and len(embeddings) else []
        said[kind] = [names[row] for row in nearest] or [''] * len(embeddings)
    middles = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    return [
        Thing(name, color, (float(x), float(y)))
        for name, color, (x, y) in zip(said['class'], said['color'], middles, strict=True)
    ]


def distinct_rows(
    boxes_xyxy: npt.NDArray[np.floating[Any]],
    scores: Sequence[float],
    most_shared: float = 0.5,
) -> list[int]:
    """Boxes that are objects of their own, the best scored first: no object is counted twice.

    Args:
        boxes_xyxy: ``[n, 4]`` px.
        scores: ``[n]``.
        most_shared: share of the smaller of two boxes that both may cover.
    """
    kept: list[int] = []
    areas = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0).prod(1)
    for row in np.argsort(-np.asarray(scores, float), kind='stable').tolist():
        low = np.maximum(boxes_xyxy[row, :2], boxes_xyxy[kept, :2])
        high = np.minimum(boxes_xyxy[row, 2:], boxes_xyxy[kept, 2:])
        shared = np.maximum(high - low, 0).prod(1)
        if (shared <= most_shared * np.minimum(areas[row], areas[kept])).all():
            kept.append(row)
    return kept


def _phrase(text: str, classes: Sequence[str], colors: Sequence[str], question: str) -> Phrase:
    """The class and the color that words name."""
    class_of = {' '.join(form): plain_name(name) for name in classes for form in number_forms(name)}
    class_of |= {'things': '', 'thing': '', 'objects': '', 'object': ''}
    color, rest = '', text
    first, _, behind = text.partition(' ')
    if first in {plain_name(name) for name in colors} and behind:
        color, rest = first, behind
    if rest not in class_of:
        raise InputError(
            f'{question!r}: {rest!r} is no class ({", ".join(classes)}), alone or behind a color '
            f'({", ".join(colors)})'
        )
    return Phrase(class_of[rest], color)
