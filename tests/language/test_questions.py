"""Questions about an image: their words, their answers, objects by their embeddings."""

import numpy as np
import pytest

from mmext.errors import InputError
from mmext.language.questions import (
    UNKNOWN,
    Phrase,
    Question,
    Thing,
    answer,
    distinct_rows,
    parse_question,
    related,
    things_of,
)
from mmext.language.table import TextTable

CLASSES, COLORS = ('ball', 'crate', 'fish'), ('red', 'green')
THINGS = [
    Thing('ball', 'red', (10, 50)),
    Thing('ball', 'red', (90, 20)),
    Thing('ball', 'green', (30, 80)),
    Thing('crate', 'green', (50, 60)),
]


def ask(text: str) -> str:
    return answer(parse_question(text, CLASSES, COLORS), THINGS)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('How many balls?', '3'),
        ('how many red balls are left of the crate?', '1'),
        ('how many red things', '2'),
        ('How many fish?', '0'),
        ('how many balls right of a green crate?', '1'),
        ('is there a red crate?', 'no'),
        ('Are there any balls below the crate?', 'yes'),
        ('is there a ball above the red ball?', 'yes'),
        ('what color is the crate?', 'green'),
        ('what colour is the ball below the crate?', 'green'),
        ('what color is the fish?', UNKNOWN),
        ('how many balls are left of the fish?', UNKNOWN),
    ],
)
def test_answers_by_hand(text: str, said: str) -> None:
    assert ask(text) == said


def test_words_of_a_question() -> None:
    wanted = Question('count', Phrase('ball', 'red'), 'left of', Phrase('crate', ''))
    assert parse_question('How many red  balls are left of the crate?', CLASSES, COLORS) == wanted
    for text, message in {
        'where is the ball?': 'ask "how many',
        'how many cars?': "'cars' is no class",
        'how many blue balls?': "'blue balls' is no class",
        'what color is the ball near the crate?': 'is no class',
    }.items():
        with pytest.raises(InputError, match=message):
            parse_question(text, CLASSES, COLORS)


def test_no_object_is_counted_twice() -> None:
    boxes = np.array(
        [[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10], [0, 0, 4, 4], [9, 9, 19, 19]]
    )
    # the second is the first one again, the fourth lies inside of both
    assert distinct_rows(boxes, [0.5, 0.9, 0.7, 0.2, 0.1]) == [1, 2, 4]
    assert distinct_rows(boxes, [0.9, 0.5, 0.7, 0.2, 0.1]) == [0, 2, 4]
    assert distinct_rows(boxes[:0], []) == []


def test_relations_are_opposites() -> None:
    a, b = (3.0, 8.0), (5.0, 2.0)
    assert related(a, 'left of', b) and related(b, 'right of', a)
    assert related(a, 'below', b) and related(b, 'above', a)
    assert not related(a, 'left of', a) and not related(a, 'below', a)


def test_objects_are_what_their_embeddings_say() -> None:
    table = TextTable((*CLASSES, *COLORS), np.eye(5, dtype=np.float32))
    embeddings = np.array([[0.9, 0.1, 0, 0.2, 0.3], [0, 0, 0.5, 0.7, 0.1]])
    boxes = np.array([[0.0, 0, 10, 20], [5, 5, 15, 25]])
    groups = {'class': CLASSES, 'color': COLORS}
    assert things_of(embeddings, boxes, table, groups) == [
        Thing('ball', 'green', (5, 10)),
        Thing('fish', 'red', (10, 15)),
    ]
    assert things_of(embeddings[:0], boxes[:0], table, groups) == []
    assert things_of(embeddings, boxes, table, {'class': CLASSES, 'color': ()})[0].color == ''
