"""Search values by hand, and the evaluator on samples of a detector that is right, or not."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmext.errors import InputError
from mmext.language.search import phrase_scores
from mmext.language.search_values import (
    exchange_values,
    search_values,
    single_phrases,
    tag_values,
)
from mmext.language.table import TextTable
from mmext.registry import METRICS

NAMES = ('ball', 'tree', 'red', 'green')
PLAIN = TextTable(NAMES, np.eye(4, dtype=np.float32), 'words')
JUDGED = TextTable(NAMES, np.eye(4, dtype=np.float32), 'words', (10.0, -4.0))
GROUPS = {'name': ['ball', 'tree'], 'color': ['red', 'green']}
TAGS = [('ball', 'red'), ('tree', 'green'), ('ball', 'green'), ('ball', 'red')]


def exact(tags: list[tuple[str, ...]]) -> np.ndarray:
    return np.stack([PLAIN.phrase(' '.join(own)) for own in tags])


@pytest.mark.parametrize('words', [PLAIN, JUDGED])
def test_perfect_vectors_find_all(words: TextTable) -> None:
    vectors = exact(TAGS)
    assert search_values(vectors, TAGS, words) == {'P@1': 100, 'mAP': 100, 'sets': 3}
    assert tag_values(vectors, TAGS, words, GROUPS) == {'name': 100, 'color': 100}
    values = exchange_values(vectors, TAGS, words, *GROUPS.values())
    # red balls to green: two; the green ball to red: one; no red tree is there to be found
    assert values['arithmetic'] == 100
    assert values['likeness'] == pytest.approx(100 / 3)  # the green ball's nearest is a red one
    assert single_phrases(TAGS, list(GROUPS.values())) == [(1, 'tree green'), (2, 'ball green')]


def test_mistakes_are_counted() -> None:
    vectors = exact([TAGS[1], TAGS[1], TAGS[2], TAGS[3]])  # the first red ball looks like a tree
    values = search_values(vectors, TAGS, PLAIN)
    assert values['P@1'] == pytest.approx(200 / 3)  # two trees look alike: the wrong one counts
    assert tag_values(vectors, TAGS, PLAIN, GROUPS) == {'name': 75, 'color': 75}
    nothing = search_values(np.zeros((4, 4), np.float32), TAGS, PLAIN)
    assert nothing['P@1'] == 0  # equal scores


def test_a_missing_word_is_not_outweighed() -> None:
    """Cosines let a very red thing win over a red ball; the judged words do not."""
    vectors = np.array([[0.3, 0, 0.954, 0], [0.5, 0.5, 0.5, 0.5]], np.float32)
    assert phrase_scores(vectors, PLAIN, 'red ball').argmax() == 0
    assert phrase_scores(vectors, JUDGED, 'red ball').argmax() == 1
    by_hand = sum(np.log(1 / (1 + np.exp(-(10 * c - 4)))) for c in (0.3, 0.954))
    assert phrase_scores(vectors, JUDGED, 'a red ball')[0] == pytest.approx(by_hand, rel=1e-5)


def sample(image: int, tags: list[tuple[str, ...]], said: list[tuple[str, ...]]) -> dict:
    """Objects side by side; the last box that was found belongs to none."""
    boxes = [[20.0 * n, 0, 20.0 * n + 10, 10] for n in range(len(said))]
    predicted = dict(
        bboxes=torch.tensor(boxes).reshape(-1, 4),
        scores=torch.full((len(said),), 0.9),
        embeddings=torch.from_numpy(exact(said)) if said else torch.zeros(0, 4),
    )
    true = [(box, list(own)) for box, own in zip(boxes, tags, strict=False)]
    true += [([500.0, 0, 520, 20], list(own)) for own in tags[len(boxes) :]]
    return dict(img_id=image, pred_instances=predicted, region_tags=true)


def evaluate(samples: list[dict], words: TextTable | None = JUDGED) -> dict[str, float]:
    metric = METRICS.build(dict(type='mmext.RegionSearchMetric', groups=GROUPS))
    metric.words = words
    evaluator = Evaluator(metric)
    for data in samples:
        evaluator.metrics[0].process({}, [data])
    values = evaluator.evaluate(len(samples))
    return {name.removeprefix('search/'): value for name, value in values.items()}


def test_metric_by_hand() -> None:
    samples = [sample(0, TAGS[:3], TAGS[:3]), sample(1, [TAGS[3], TAGS[1]], [TAGS[3]])]
    values = evaluate(samples)
    assert values['found'] == 80 and values['P@1'] == 100 and values['color'] == 100
    # all five phrases mean one object; the tree of the second image was not found
    assert values['phrase_box'] == pytest.approx(80)
    wrong = evaluate([sample(0, TAGS[:2], TAGS[1::-1])])
    assert wrong['phrase_box'] == 0 and wrong['P@1'] == 0
    assert evaluate([*samples, samples[0]]) == values  # a repeated image counts once


def test_objects_without_known_words_are_not_looked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = pytest.approx(evaluate([sample(0, TAGS[:2], TAGS[:2])]), nan_ok=True)
    more = [*TAGS[:2], ('Sky',), ()]
    assert evaluate([sample(0, more, [*TAGS[:2], ('green',), ('red',)])]) == expected
    spelled = evaluate([sample(0, [('Ball', 'RED'), ('tree', 'green')], TAGS[:2])])
    assert spelled == expected
    assert 'refcoco' not in caplog.text  # the host's metric speaks of data sets of its own


def test_nothing_found_and_bad_input() -> None:
    values = evaluate([sample(0, TAGS[:1], [])])
    assert values['found'] == 0 and values['phrase_box'] == 0 and 'P@1' not in values
    with pytest.raises(InputError, match='VocabularyHook'):
        evaluate([sample(0, TAGS[:1], [])], words=None)
    with pytest.raises(InputError, match=r'RegionCaptions in the test'):
        evaluate([dict(img_id=0, pred_instances={}, region_tags=[])])
    with pytest.raises(InputError, match="expected words for 'color'"):
        METRICS.build(dict(type='mmext.RegionSearchMetric', groups={'name': ['ball']}))
