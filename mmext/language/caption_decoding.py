"""Beam search for a batch: the best sentences by the sum of their log probabilities.

Rules (Xu et al. 2015 as the well-known port decodes): no normalization by length; a sentence that
has ended is taken out, and the beam of its image goes on with one less. If none has ended after
``max_words``, the best unfinished one is the answer.

Shape legend: B images, k beams of each, V words, T words so far, L places.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

# words [B * k] and any state -> log probabilities [B * k, V], attention [B * k, L], new state
Step = Callable[[Tensor, Any], tuple[Tensor, Tensor, Any]]


class Sentences(NamedTuple):
    """The best sentence of each image.

    Attributes:
        words: B lists of numbers, without start and end.
        scores: ``[B]``, sums of log probabilities, that of the end too.
        attention: B times ``[T, L]``, where each word looked.
        counts: ``[B]``, of words in the score: with the end, if it was said.
    """

    words: list[list[int]]
    scores: Tensor
    attention: list[Tensor]
    counts: Tensor


def beam_search(
    step: Step, state: Any, num_images: int, beam: int, ends: tuple[int, int], max_words: int = 50
) -> Sentences:
    """Decode a batch.

    Args:
        step: of the network; its states have ``rows(index)``.
        state: of B * k rows, the beams of an image beside each other.
        num_images: B.
        beam: k.
        ends: the numbers of start and end.
        max_words: of a sentence, without its end; one that never ends has one more.
    """
    start, end = ends
    device = _device_of(state)
    beams = _Beams(num_images, beam, start, device)
    for _ in range(max_words + 1):
        if not beams.live.any():
            break
        log_probs, attention, state = step(beams.last, state)
        rows = beams.grow(log_probs, attention, end)
        state = state.rows(rows)
    return beams.best()


class _Beams:
    """The unfinished sentences of all images, and the best finished one of each."""

    def __init__(self, num_images: int, beam: int, start: int, device: torch.device) -> None:
        self.num_images, self.beam = num_images, beam
        self.scores = torch.full((num_images, beam), -torch.inf, device=device)
        self.scores[:, 0] = 0  # all beams begin alike: only one of them counts
        self.room = torch.full((num_images,), beam, device=device)
        self.words = torch.zeros(num_images, beam, 0, dtype=torch.long, device=device)
        self.last = torch.full((num_images * beam,), start, device=device)
        self.attention: list[Tensor] = []  # of each step [B, k, L]
        self.ended: list[tuple[float, list[int], Tensor, int] | None] = [None] * num_images

    @property
    def live(self) -> Tensor:
        """Which beams are sentences that go on, ``[B, k]``."""
        return self.scores > -torch.inf

    def grow(self, log_probs: Tensor, attention: Tensor, end: int) -> Tensor:
        """Add a word to each sentence and keep the best; returns the rows that they come from."""
        num_words = log_probs.shape[1]
        totals = self.scores[..., None] + log_probs.reshape(self.num_images, self.beam, num_words)
        best, index = totals.flatten(1).topk(min(self.beam, totals[0].numel()), dim=1)
        if best.shape[1] < self.beam:
            missing = self.beam - best.shape[1]
            best = torch.nn.functional.pad(best, (0, missing), value=-torch.inf)
            index = torch.nn.functional.pad(index, (0, missing))
        parents, words = index // num_words, index % num_words  # [B, k]
        place = torch.arange(self.beam, device=best.device)
        best = best.masked_fill(place >= self.room[:, None], -torch.inf)
        self._take(parents, words, attention)
        ends = (words == end) & (best > -torch.inf)
        self._keep_ended(best, ends)
        self.room = self.room - ends.sum(1)
        self.scores = best.masked_fill(ends, -torch.inf)
        self.last = words.flatten()
        first = torch.arange(self.num_images, device=best.device)[:, None] * self.beam
        return (first + parents).flatten()

    def _take(self, parents: Tensor, words: Tensor, attention: Tensor) -> None:
        """Let the histories be those of the parents."""
        self.words = self.words.gather(1, parents[..., None].expand(-1, -1, self.words.shape[2]))
        self.words = torch.cat([self.words, words[..., None]], 2)
        self.attention.append(attention.reshape(self.num_images, self.beam, -1))
        wide = parents[..., None].expand(-1, -1, self.attention[-1].shape[2])
        self.attention = [weights.gather(1, wide) for weights in self.attention]

    def _keep_ended(self, scores: Tensor, ends: Tensor) -> None:
        for image, beam in ends.nonzero().tolist():
            self._offer(image, beam, float(scores[image, beam]), ended=True)

    def _offer(self, image: int, beam: int, score: float, ended: bool) -> None:
        known = self.ended[image]
        if known is None or score > known[0]:
            said = self.words[image, beam].tolist()
            words = said[:-1] if ended else said
            seen = [weights[image, beam] for weights in self.attention[: len(words)]]
            empty = self.words.new_zeros(0, 0).float()
            looked = torch.stack(seen) if seen else empty
            self.ended[image] = score, words, looked, len(said)

    def best(self) -> Sentences:
        """The best sentences; unfinished ones where none has ended."""
        for image in range(self.num_images):
            if self.ended[image] is None:
                beam = int(self.scores[image].argmax())
                self._offer(image, beam, float(self.scores[image, beam]), ended=False)
        answers = [answer for answer in self.ended if answer is not None]
        return Sentences(
            [words for _, words, _, _ in answers],
            torch.tensor([score for score, _, _, _ in answers]),
            [attention for _, _, attention, _ in answers],
            torch.tensor([count for _, _, _, count in answers]),
        )


def _device_of(state: Any) -> torch.device:
    first = state
    while not isinstance(first, Tensor):
        first = first[0]
    return first.device
