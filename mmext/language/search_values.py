"""How well words find regions: search, tags, exchanged words, phrases.

Shape legend: n regions, D numbers, W words.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.language.search import phrase_scores
from mmext.language.table import TextTable, plain_name
from mmext.metrics.language.ranks import precision_of

Floats = npt.NDArray[np.floating[Any]]
Tags = tuple[str, ...]


def search_values(embeddings: Floats, tags: Sequence[Tags], words: TextTable) -> dict[str, float]:
    """Each set of tags is looked for among all regions.

    Args:
        embeddings: ``[n, D]`` of length 1.
        tags: n, words of each region; one without is not looked for.
        words: their vectors.

    Returns:
        ``P@1``: how often, in percent, the best region has exactly these tags; ``mAP``; ``sets``,
        how many there are.
    """
    hits, averages = [], []
    for wanted in sorted(set(tags) - {()}):
        scores = phrase_scores(embeddings, words, ' '.join(wanted))
        right = np.array([own == wanted for own in tags])
        hit, average = precision_of(scores, right)
        hits.append(hit)
        averages.append(average)
    return {'P@1': _percent(hits), 'mAP': _percent(averages), 'sets': float(len(hits))}


def tag_values(
    embeddings: Floats, tags: Sequence[Tags], words: TextTable, groups: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """How often the nearest word of each group is the true one, in percent.

    Args:
        embeddings: ``[n, D]``.
        tags: n; a region without a word of a group does not count for it.
        words: their vectors.
        groups: words that exclude each other, by a name for them.
    """
    values = {}
    for name, members in groups.items():
        true = [_member(own, members) for own in tags]
        vectors = words.vectors[words.rows(members)]
        said = (embeddings @ vectors.T).argmax(1)
        values[name] = _percent(
            [members[row] == word for row, word in zip(said, true, strict=True) if word]
        )
    return values


def exchange_values(
    embeddings: Floats,
    tags: Sequence[Tags],
    words: TextTable,
    kept: Sequence[str],
    exchanged: Sequence[str],
) -> dict[str, float]:
    """A region minus its word of a group plus another one, looked for among the other regions.

    Args:
        embeddings: ``[n, D]``.
        tags: n.
        words: their vectors.
        kept: words that have to stay, such as classes.
        exchanged: words of which one is exchanged, such as colors.

    Returns:
        ``arithmetic``: how often, in percent, the nearest region has the same kept word and the new
        one; ``likeness``: how often the nearest region without any arithmetic does.
    """
    stays = [_member(own, kept) for own in tags]
    goes = [_member(own, exchanged) for own in tags]
    pairs = list(zip(stays, goes, strict=True))
    own_rows = {word: words.vectors[words.rows([word])[0]] for word in exchanged}
    with_words: list[bool] = []
    without: list[bool] = []
    for row, (stay, old) in enumerate(pairs):
        for new in exchanged:
            if old and stay and new != old and (stay, new) in pairs:
                turned = embeddings[row] - own_rows[old] + own_rows[new]
                for query, hits in ((turned, with_words), (embeddings[row], without)):
                    likeness = embeddings @ query
                    likeness[row] = -np.inf
                    hits.append(pairs[int(likeness.argmax())] == (stay, new))
    return {'arithmetic': _percent(with_words), 'likeness': _percent(without)}


def single_phrases(tags: Sequence[Tags], groups: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Objects of an image that a phrase of one word of each group tells from all others.

    Args:
        tags: n, of the objects of the image.
        groups: of words.

    Returns:
        Numbers of objects, with the phrase.
    """
    said = [tuple(_member(own, members) for members in groups) for own in tags]
    return [
        (row, ' '.join(phrase))
        for row, phrase in enumerate(said)
        if all(phrase) and said.count(phrase) == 1
    ]


def check_groups(groups: Mapping[str, Sequence[str]], needed: Sequence[str]) -> None:
    """Refuse groups that lack one.

    Raises:
        InputError: one is missing, or empty.
    """
    for name in needed:
        if not groups.get(name):
            raise InputError(f'groups: expected words for {name!r}, got {", ".join(groups)}')


def _member(own: Tags, members: Sequence[str]) -> str:
    """The word of a group among tags; '' for none."""
    return next((word for word in map(plain_name, members) if word in own), '')


def _percent(values: Sequence[float]) -> float:
    return 100 * float(np.mean(values)) if len(values) else float('nan')
