"""Captions as COCO counts them: words, BLEU, CIDEr-D, ROUGE-L, CHAIR."""

import math
import random
from collections import Counter
from itertools import pairwise

import pytest

from mmext.metrics.language.caption_scores import (
    bleu,
    cider_d,
    longest_common_subsequence,
    rouge_l,
)
from mmext.metrics.language.object_words import ObjectWords, number_forms, object_scores
from mmext.metrics.language.ptb_tokens import tokenize, treebank_tokens

CAPTIONS = [
    sentence.split()
    for sentence in (
        'a red ball on the sand',
        'two crates and a tree on grass',
        'a fish under the water',
        'a tree',
    )
]
REFERENCES = [
    [sentence.split() for sentence in sentences]
    for sentences in (
        ('a red ball on sand', 'a ball lies on the sand'),
        ('a tree and two crates on the grass', 'two crates near a tree'),
        ('a fish in water', 'one fish in the blue water'),
        ('a green tree under a sky', 'a tree on grass'),
    )
]

# what the tokenizer of COCO's evaluation (CoreNLP 3.4.1) answers
TOKENIZED = {
    "A man's dog isn't here.": "a man 's dog is n't here",
    "The dogs' bowls (left) side": 'the dogs bowls -lrb- left -rrb- side',
    'A $5 bill, 50% off!': 'a $ 5 bill 50 % off',
    "It's 5:30 p.m. on Main St.": "it 's 5:30 p.m. on main st.",
    'A café table - with food...': 'a café table with food',
    "Mr. Smith's car, no. 5": "mr. smith 's car no. 5",
    'no. It is no.': 'no it is no',
    "cannot gonna 'tis won't they've I'd DON'T": "can not gon na 't is wo n't they 've i 'd do n't",
    'a 4x4 truck, 10,000 people, 3.5 mph, 1/2 cup': 'a 4x4 truck 10,000 people 3.5 mph 1/2 cup',
    "'90s 1990's 80s o'clock O'Reilly ma'am": "'90s 1990 's 80s o'clock o'reilly ma'am",
    'black&white AT&T R&B w/o man/woman n/a': 'black & white at&t r&b w/o man/woman n/a',
    '#1 #dogs t-shirt -dash a--b hot-dog': '# 1 #dogs t-shirt dash a b hot-dog',
    'what?! yes!! no?? ok;': 'what ?! yes !! no ?? ok',
    '“smart” man’s isn’t £5 50¢ 12:30pm 20°': "smart man 's is n't # 5 50 cents 12:30 pm 20 °",
    'U.S. Army and u.k. at 5 p.m. vs. Dr. X.': 'u.s. army and u.k. at 5 p.m. vs. dr. x.',
    'plan B. The end of it': 'plan b the end of it',
    'red.A dog and x.y.z and a . b': 'red.a dog and x.y.z and a b',
    'a man &amp; <b>bold</b> [x] {y}': 'a man & <b> bold </b> -lsb- x -rsb- -lcb- y -rcb-',
    'a dog 😀 ♥': 'a dog ♥',
    '': '',
    ' . ,': '',
}


@pytest.mark.parametrize('caption', TOKENIZED)
def test_words_of_a_caption(caption: str) -> None:
    assert ' '.join(tokenize(caption)) == TOKENIZED[caption]


def test_punctuation_is_tokens_too() -> None:
    assert list(treebank_tokens('He said "hi", ok...')) == [
        *('he', 'said', "''", 'hi', "''", ',', 'ok', '...'),
    ]


def test_scores_are_those_of_the_reference_evaluation() -> None:
    """Values of pycocoevalcap 1.2 on these sentences."""
    assert bleu(CAPTIONS, REFERENCES) == pytest.approx(
        [0.859596, 0.661445, 0.462558, 0.315832], abs=1e-6
    )
    assert cider_d(CAPTIONS, REFERENCES) == pytest.approx(
        [4.861206, 2.653958, 1.814791, 1.474037], abs=1e-6
    )
    assert rouge_l(CAPTIONS, REFERENCES) == pytest.approx(
        [0.924242, 0.687324, 0.680297, 0.628866], abs=1e-6
    )


def random_set(seed: int, images: int = 60) -> tuple[list[list[str]], list[list[list[str]]]]:
    """Sentences of few words, so that n-grams repeat."""
    rng = random.Random(seed)

    def sentence() -> list[str]:
        return [rng.choice('abcde') for _ in range(rng.randint(1, 14))]

    references = [[sentence() for _ in range(rng.randint(1, 5))] for _ in range(images)]
    return [sentence() if rng.random() > 0.1 else [] for _ in range(images)], references


def grams(words: list[str], n: int) -> list[str]:
    return [' '.join(words[i : i + n]) for i in range(len(words) - n + 1)]


def slow_bleu(captions: list, references: list, order: int) -> float:
    """Papineni 2002, equations 1 to 3, with the closest reference's length."""
    product, length, closest = 1.0, 0, 0
    for n in range(1, order + 1):
        right = said = 0
        for caption, others in zip(captions, references, strict=True):
            own = Counter(grams(caption, n))
            right += sum(min(own[g], max(grams(r, n).count(g) for r in others)) for g in own)
            said += len(grams(caption, n))
        product *= right / said
    for caption, others in zip(captions, references, strict=True):
        length += len(caption)
        closest += min(map(len, others), key=lambda size: (abs(size - len(caption)), size))
    return product ** (1 / order) * (1 if length >= closest else math.exp(1 - closest / length))


def slow_cider(captions: list, references: list, image: int) -> float:
    """Vedantam 2015, equations 1 to 4, with the penalty and the clipping of CIDEr-D."""
    scores = []
    for reference in references[image]:
        total = 0.0
        for n in (1, 2, 3, 4):
            vocabulary = sorted({*grams(captions[image], n), *grams(reference, n)})
            rare = [
                math.log(len(references))
                - math.log(max(1, sum(any(g in grams(r, n) for r in rs) for rs in references)))
                for g in vocabulary
            ]
            own, other = (
                [grams(words, n).count(g) * w for g, w in zip(vocabulary, rare, strict=True)]
                for words in (captions[image], reference)
            )
            norms = math.dist(own, [0] * len(own)) * math.dist(other, [0] * len(other))
            if norms:
                total += sum(min(a, b) * b for a, b in zip(own, other, strict=True)) / norms
        delta = len(list(pairwise(captions[image]))) - len(list(pairwise(reference)))
        scores.append(total / 4 * math.exp(-(delta**2) / 72))
    return 10 * sum(scores) / len(scores)


def slow_common(a: list[str], b: list[str]) -> int:
    """The table of the textbook."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = (
                table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
            )
    return table[-1][-1]


@pytest.mark.parametrize('seed', range(4))
def test_scores_equal_plain_loops(seed: int) -> None:
    captions, references = random_set(seed)
    assert bleu(captions, references) == pytest.approx(
        [slow_bleu(captions, references, n) for n in (1, 2, 3, 4)], abs=1e-5
    )
    assert cider_d(captions, references) == pytest.approx(
        [slow_cider(captions, references, i) for i in range(len(captions))], rel=1e-9
    )
    for caption, others in zip(captions, references, strict=True):
        for other in others:
            assert longest_common_subsequence(caption, other) == slow_common(caption, other)


def test_what_is_identical() -> None:
    references = [[caption] for caption in CAPTIONS[:3]]
    assert bleu(CAPTIONS[:3], references)[3] == pytest.approx(1, abs=1e-6)
    assert rouge_l(CAPTIONS[:3], references) == pytest.approx([1, 1, 1])
    assert cider_d(CAPTIONS[:3], references) == pytest.approx([10, 10, 10])


def test_what_has_nothing_in_common() -> None:
    captions, references = [['x', 'y']], [[['a', 'b', 'c']]]
    assert bleu(captions, references)[0] == pytest.approx(0, abs=1e-9)
    assert cider_d(captions, references) == rouge_l(captions, references) == [0]


def test_objects_of_sentences() -> None:
    words = ObjectWords(['person', 'hot dog', 'dog', 'traffic_light'], {'person': ['man', 'lady']})
    said = words.mentioned(
        tokenize('Two men and ladies eat hot dogs at a traffic light with a dog.')
    )
    assert said == ['person', 'person', 'hot dog', 'traffic_light', 'dog']
    assert words.mentioned([]) == []
    assert number_forms('Wolf')[1] == ('wolves',)


def test_objects_by_hand() -> None:
    found = object_scores(
        [['ball', 'tree', 'tree'], ['fish'], []], [{'ball'}, ['fish', 'crate'], []]
    )
    assert found.chair_i == pytest.approx(2 / 4)
    assert found.chair_s == pytest.approx(1 / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert math.isnan(object_scores([[]], [[]]).recall)
