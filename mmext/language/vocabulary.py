"""Sentences as numbers, and back.

Rules of the usual captioning set-up (Karpathy and Fei-Fei 2015): words of COCO's tokenizer; words
that are seen too seldom become ``<unk>``.

Shape legend: B sentences, T words with start and end, V words in all.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.metrics.language.ptb_tokens import tokenize

SPECIAL = ('<pad>', '<start>', '<end>', '<unk>')
PAD, START, END, UNKNOWN = range(4)


class Vocabulary:
    """The words that sentences are made of.

    Args:
        words: without the special ones, which come first.

    Raises:
        InputError: no word, one is there twice, or is none that a sentence could have.

    >>> words = Vocabulary(['a', 'ball', 'red'])
    >>> words.sentence(words.encode(['A red  ball.'])[0].tolist())
    'a red ball'
    """

    def __init__(self, words: Sequence[str]) -> None:
        if isinstance(words, str | Mapping) or not words:
            raise InputError(f'words of captions: expected a list of words, got {words!r:.40}')
        # sentences are split at blanks, in lower case: another word would never be said or learned
        odd = [w for w in words if not isinstance(w, str) or w.lower().split() != [w]]
        if odd:
            raise InputError(
                f'words of captions: {odd[0]!r} is no single word in lower case; write '
                f'{", ".join(map(repr, str(odd[0]).lower().split())) or "another"}'
            )
        twice = [word for word, count in Counter((*SPECIAL, *words)).items() if count > 1]
        if twice:
            raise InputError(f'words of captions: {twice[0]!r} is there twice')
        self.words = (*SPECIAL, *words)
        self._number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Numbers ``[B, T]``: start, words, end, then padding."""
        rows = [
            [START, *(self._number.get(word, UNKNOWN) for word in tokenize(sentence)), END]
            for sentence in sentences
        ]
        longest = max(map(len, rows), default=2)
        return torch.tensor(
            [row + [PAD] * (longest - len(row)) for row in rows], dtype=torch.long
        ).reshape(-1, longest)

    def sentence(self, numbers: Iterable[int]) -> str:
        """The words of numbers up to the end, without the special ones."""
        said = []
        for number in numbers:
            if number == END:
                break
            if number not in (PAD, START):
                said.append(self.words[number])
        return ' '.join(said)


def words_of_captions(captions: Iterable[str], min_count: int = 5) -> list[str]:
    """The words that occur more than ``min_count`` times, the most frequent first.

    >>> words_of_captions(['a ball', 'a tree'], 1)
    ['a']
    """
    counts = Counter(word for caption in captions for word in tokenize(caption))
    kept = [(word, count) for word, count in counts.items() if count > min_count]
    return [word for word, _ in sorted(kept, key=lambda item: (-item[1], item[0]))]
