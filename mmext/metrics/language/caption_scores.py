"""BLEU, CIDEr-D and ROUGE-L of captions, as COCO's evaluation counts them.

Sources: Papineni et al., ACL 2002; Vedantam et al., CVPR 2015; Lin, ACL 2004 workshop; constants
and orders of operation are those of COCO's caption evaluation: corpus BLEU with the closest
length of a reference, CIDEr-D with sigma 6 and lengths in bigrams, ROUGE-L with beta 1.2 and the
best precision and the best recall taken apart. All values are 0 to 1 (CIDEr-D: 0 to 10).

CIDEr-D weighs n-grams by how rare they are among the images of the set: values of sets of different
size are not comparable.

Shape legend: N images, R references of each (any number), sentences as lists of words.
"""

import math
from collections import Counter
from collections.abc import Sequence

Words = Sequence[str]
NGram = tuple[str, ...]

ORDERS = 4
_TINY, _SMALL = 1e-15, 1e-9
_SIGMA = 6.0
_BETA = 1.2


def ngram_counts(words: Words, orders: int = ORDERS) -> list[Counter[NGram]]:
    """How often each n-gram occurs, for n from 1 to ``orders``.

    >>> ngram_counts(['a', 'b', 'a'], 2)[1][('a', 'b')]
    1
    """
    return [
        Counter(zip(*(words[start:] for start in range(n)), strict=False))
        for n in range(1, orders + 1)
    ]


def bleu(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """Corpus BLEU-1 to BLEU-4.

    Args:
        captions: N.
        references: N times R.
    """
    correct, guessed = [0] * ORDERS, [0] * ORDERS
    length = reference_length = 0
    for caption, of_image in zip(captions, references, strict=True):
        size = len(caption)
        length += size
        reference_length += min((abs(len(ref) - size), len(ref)) for ref in of_image)[1]
        counts = [ngram_counts(reference) for reference in of_image]
        for n, grams in enumerate(ngram_counts(caption)):
            guessed[n] += max(0, size - n)
            correct[n] += sum(
                min(count, max(reference[n][gram] for reference in counts))
                for gram, count in grams.items()
            )
    ratio = (length + _TINY) / (reference_length + _SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores, product = [], 1.0
    for n in range(ORDERS):
        product *= (correct[n] + _TINY) / (guessed[n] + _SMALL)
        scores.append(product ** (1 / (n + 1)) * brevity)
    return scores


def cider_d(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """CIDEr-D of each image, N values; the score of a set is their mean.

    Args:
        captions: N.
        references: N times R; they also say how rare an n-gram is.
    """
    counted = [[ngram_counts(reference) for reference in of_image] for of_image in references]
    frequency: Counter[NGram] = Counter()
    for of_image in counted:
        frequency.update({gram for reference in of_image for grams in reference for gram in grams})
    log_count = math.log(max(len(references), 1))
    rarity = {gram: log_count - math.log(count) for gram, count in frequency.items()}
    scores = []
    for caption, of_image in zip(captions, counted, strict=True):
        vector = _Vector(ngram_counts(caption), rarity, log_count)
        similarities = [
            vector.similarity(_Vector(reference, rarity, log_count)) for reference in of_image
        ]
        scores.append(10 * sum(similarities) / len(similarities))
    return scores


class _Vector:
    """The n-grams of a sentence, weighted by how rare they are."""

    def __init__(
        self, counts: Sequence[Counter[NGram]], rarity: dict[NGram, float], unseen: float
    ) -> None:
        self.weights = [
            {gram: count * rarity.get(gram, unseen) for gram, count in grams.items()}
            for grams in counts
        ]
        self.norms = [math.sqrt(sum(w * w for w in grams.values())) for grams in self.weights]
        self.bigrams = sum(counts[1].values())

    def similarity(self, reference: '_Vector') -> float:
        """With a reference, mean over n."""
        total = 0.0
        for own, other, norm, other_norm in zip(
            self.weights, reference.weights, self.norms, reference.norms, strict=True
        ):
            shared = sum(
                min(weight, other[gram]) * other[gram]
                for gram, weight in own.items()
                if gram in other
            )
            total += shared / (norm * other_norm) if norm and other_norm else shared
        difference = self.bigrams - reference.bigrams
        return total / ORDERS * math.exp(-(difference**2) / (2 * _SIGMA**2))


def rouge_l(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """ROUGE-L of each image, N values; the score of a set is their mean.

    Args:
        captions: N.
        references: N times R.
    """
    scores = []
    for caption, of_image in zip(captions, references, strict=True):
        common = [longest_common_subsequence(caption, reference) for reference in of_image]
        precision = max(common) / len(caption) if caption else 0.0
        recall = max(
            length / len(reference) if reference else 0.0
            for length, reference in zip(common, of_image, strict=True)
        )
        squared = _BETA**2
        both = precision > 0 and recall > 0
        scores.append(
            (1 + squared) * precision * recall / (recall + squared * precision) if both else 0.0
        )
    return scores


def longest_common_subsequence(words: Words, others: Words) -> int:
    """How many words two sentences have in common in the same order.

    A bit for each word of the first sentence; where it is 0 the length grows (Hyyrö, 2004).

    >>> longest_common_subsequence('a red ball on sand'.split(), 'ball on the sand'.split())
    3
    """
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(words)) - 1
    row = full
    for word in others:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(words) - row.bit_count()
