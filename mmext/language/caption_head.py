"""Sentences about regions or images, from maps of features.

Source: Xu et al. 2015, see :mod:`.soft_attention`.

Shape legend: N regions or images, E channels, ``h x w`` places, T words.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmext.errors import InputError
from mmext.formats.json_files import read_json
from mmext.language.caption_decoding import Sentences, beam_search
from mmext.language.soft_attention import Places, SoftAttentionDecoder, State, caption_loss
from mmext.language.vocabulary import END, PAD, START, Vocabulary
from mmext.registry import MODELS


class Said(NamedTuple):
    """Sentences with their scores.

    Attributes:
        captions: N.
        scores: ``[N]``, mean log probability of a word.
        attention: N times ``[T, h, w]`` float16, where each word looked.
    """

    captions: list[str]
    scores: Tensor
    attention: list[Tensor]


class _Memory(NamedTuple):
    """What a beam carries along."""

    state: State
    places: Places

    def rows(self, index: Tensor) -> '_Memory':
        # beams of an image look at the same places
        return _Memory(self.state.rows(index), self.places)


@MODELS.register_module()
class CaptionHead(BaseModule):
    """Show, Attend and Tell with soft attention.

    Args:
        in_channels: E.
        words: those of the sentences, or a JSON file with their list.
        channels: of state, attention and embeddings.
        dropout: before the words.
        attention_weight: lambda of the doubly stochastic attention.
        beam: sentences that are followed at once, in prediction.
        max_words: of a sentence; one that never ends has one more.
        init_cfg: of mmengine.

    Raises:
        InputError: the words are none.
    """

    def __init__(
        self,
        in_channels: int,
        words: Sequence[str] | str,
        channels: int = 512,
        dropout: float = 0.5,
        attention_weight: float = 1.0,
        beam: int = 3,
        max_words: int = 50,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if beam < 1 or max_words < 1:
            raise InputError(f'CaptionHead: beam {beam}, max_words {max_words}: expected 1 or more')
        self.vocabulary = Vocabulary(read_json(words) if isinstance(words, str) else words)
        self.decoder = SoftAttentionDecoder(in_channels, len(self.vocabulary), channels, dropout)
        self.attention_weight, self.beam, self.max_words = attention_weight, beam, max_words

    def forward(self, features: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[N, T, V]`` and attention ``[N, T, h w]`` of maps ``[N, E, h, w]``."""
        return self.decoder(_as_places(features), words)

    def loss(self, features: Tensor, captions: Sequence[str]) -> dict[str, Tensor]:
        """Losses of maps ``[N, E, h, w]`` and their N sentences."""
        words = self.vocabulary.encode(captions).to(features.device)
        logits, attention = self(features, words[:, :-1])
        targets = words[:, 1:]
        told, uneven = caption_loss(
            logits.float(), attention.float(), targets, PAD, self.attention_weight
        )
        with torch.no_grad():
            real = targets != PAD
            right = ((logits.argmax(2) == targets) & real).sum() / real.sum().clamp(min=1)
        return {'loss_caption': told, 'loss_attention': uneven, 'word_accuracy': 100 * right}

    @torch.no_grad()
    def predict(self, features: Tensor) -> Said:
        """Sentences about maps ``[N, E, h, w]``."""
        if not len(features):
            return Said([], features.new_zeros(0), [])
        found = self.decode(features)
        size = features.shape[-2:]
        return Said(
            [self.vocabulary.sentence(words) for words in found.words],
            found.scores / found.counts,
            [weights.reshape(-1, *size).half() for weights in found.attention],
        )

    @torch.no_grad()
    def decode(self, features: Tensor) -> Sentences:
        """The best sentences about maps ``[N, E, h, w]``, as numbers."""
        decoder, beam = self.decoder, self.beam
        places, state = decoder.look(_as_places(features))
        beams = torch.arange(len(features), device=features.device).repeat_interleave(beam)
        memory = _Memory(state.rows(beams), places.rows(beams))

        def step(words: Tensor, memory: _Memory) -> tuple[Tensor, Tensor, _Memory]:
            inputs = decoder.word_inputs(words)
            state, weights = decoder.advance(memory.places, memory.state, inputs)
            log_probs = decoder.words(state.hidden).float().log_softmax(1)
            log_probs[:, [PAD, START]] = -torch.inf
            return log_probs, weights.float(), _Memory(state, memory.places)

        return beam_search(step, memory, len(features), beam, (START, END), self.max_words)


def _as_places(features: Tensor) -> Tensor:
    return features.flatten(2).transpose(1, 2)  # [N, h w, E]
