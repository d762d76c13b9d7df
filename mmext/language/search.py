"""What is looked for, as a vector: words, objects, objects with a word exchanged.

Source of the arithmetic: Kiros et al. 2014, "Unifying Visual-Semantic Embeddings with Multimodal
Neural Language Models", section 3.1. It needs texts that are sums of the vectors of their words,
as here.

Shape legend: N objects, D numbers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.language.table import TextTable

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Question:
    """What is looked for.

    Attributes:
        text: words; '' for none.
        minus: words whose vector is taken away from that of an object.
        plus: words that are added to it.
    """

    text: str = ''
    minus: str = ''
    plus: str = ''

    @property
    def uses_words(self) -> bool:
        """Whether a table of words is needed."""
        return bool(self.text or self.minus or self.plus)


def query_vector(question: Question, words: TextTable | None, like: Floats | None) -> Floats:
    """The vector ``[D]`` of length 1 of what is looked for.

    Args:
        question: in words.
        words: their table; None if there is none.
        like: ``[D]`` of an object, or None.

    Raises:
        InputError: nothing is looked for, there is no table, or a word is not in it.
    """
    if like is None and not question.text:
        raise InputError('nothing to look for: --text WORDS, or --like an object')
    if question.uses_words and words is None:
        raise InputError(
            'there are no words for these vectors: index them with a detector whose classes are '
            'words (mmext.EmbeddingClassifier), or name a table by --words'
        )
    total = np.zeros(0, np.float32) if like is None else np.asarray(like, np.float32)
    for sign, text in ((1, question.text), (-1, question.minus), (1, question.plus)):
        if text and words is not None:
            vector = sign * words.phrase(text)
            if len(total) and len(total) != len(vector):
                raise InputError(
                    f'{words.source}: its vectors have {len(vector)} numbers, those of the objects '
                    f'{len(total)}'
                )
            total = total + vector if len(total) else vector
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise InputError('what is taken away is all there is: nothing is left to look for')
    return np.asarray(total / length, np.float32)


def phrase_scores(embeddings: Floats, words: TextTable, phrase: str) -> Floats:
    """How well a phrase fits objects ``[n, D]``: ``[n]``, higher is better.

    The log of the probability that all of its words are true, each judged alone, where the table
    can judge (``scale_bias``): an object that lacks a word loses more than it can gain by being
    surer of the others. Else the cosine with the sum of the words.
    """
    if words.scale_bias is None:
        return np.asarray(embeddings @ words.phrase(phrase), np.float32)
    scale, bias = words.scale_bias
    odds = scale * (embeddings @ words.vectors[words.phrase_rows(phrase)].T) + bias
    return np.asarray(-np.logaddexp(0, -odds).sum(1), np.float32)
