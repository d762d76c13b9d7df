"""A recurrent decoder that looks at another place for each word.

Source: Xu et al., "Show, Attend and Tell", ICML 2015, section 3, with the choices of the
well-known PyTorch port: additive attention with a ReLU, a gate for each feature, start without
tanh, words from the hidden state alone. The order is that of the paper: attention by the last
state, gate, recurrence, word.

What does not depend on the step is computed once: the features' part of the attention, and the
embeddings' part of the recurrence.

Shape legend: B sentences, L places, E features, A attention, H state, M embedding, V words, T
words of the longest sentence with its start.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class State(NamedTuple):
    """What a sentence remembers: hidden and cell ``[B, H]``."""

    hidden: Tensor
    cell: Tensor

    def rows(self, index: Tensor) -> 'State':
        """The states of some rows ``[n]``."""
        return State(self.hidden[index], self.cell[index])


class Places(NamedTuple):
    """What is looked at: features ``[B, L, E]`` and their part of the attention ``[B, L, A]``."""

    features: Tensor
    keys: Tensor

    def rows(self, index: Tensor) -> 'Places':
        """Those of some sentences ``[n]``."""
        return Places(self.features[index], self.keys[index])


class SoftAttentionDecoder(nn.Module):
    """Words from features, one after the other.

    Args:
        in_channels: E.
        num_words: V.
        channels: A, H and M.
        dropout: before the words, in training.
    """

    def __init__(
        self, in_channels: int, num_words: int, channels: int = 512, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.feature_keys = nn.Linear(in_channels, channels)
        self.state_query = nn.Linear(channels, channels)
        self.place_score = nn.Linear(channels, 1)
        self.start_hidden = nn.Linear(in_channels, channels)
        self.start_cell = nn.Linear(in_channels, channels)
        self.gate = nn.Linear(channels, in_channels)
        self.cell = nn.LSTMCell(channels + in_channels, channels)
        self.embedding = nn.Embedding(num_words, channels)
        self.words = nn.Linear(channels, num_words)
        self.dropout = dropout
        for weight in (self.embedding.weight, self.words.weight):
            nn.init.uniform_(weight, -0.1, 0.1)
        nn.init.zeros_(self.words.bias)

    def look(self, features: Tensor) -> tuple[Places, State]:
        """Prepare features ``[B, L, E]``: what is looked at, and the state at the start."""
        mean = features.mean(1)
        state = State(self.start_hidden(mean), self.start_cell(mean))
        return Places(features, self.feature_keys(features)), state

    def forward(self, features: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each next word, given the true ones before it.

        Args:
            features: ``[B, L, E]``.
            words: ``[B, T]``, from the start on.

        Returns:
            Logits ``[B, T, V]`` and attention ``[B, T, L]``.
        """
        places, state = self.look(features)
        inputs = self.word_inputs(words)  # [B, T, 4 H]
        hidden, attention = [], []
        for step in range(words.shape[1]):
            state, weights = self.advance(places, state, inputs[:, step])
            hidden.append(state.hidden)
            attention.append(weights)
        states = functional.dropout(torch.stack(hidden, 1), self.dropout, self.training)
        return self.words(states), torch.stack(attention, 1)

    def word_inputs(self, words: Tensor) -> Tensor:
        """What words ``[..]`` put into the recurrence: ``[.., 4 H]``."""
        weight = self.cell.weight_ih[:, : self.embedding.embedding_dim]
        return functional.linear(self.embedding(words), weight, self.cell.bias_ih)

    def advance(self, places: Places, state: State, word_inputs: Tensor) -> tuple[State, Tensor]:
        """One step.

        Args:
            places: of B sentences.
            state: after the last word.
            word_inputs: ``[B, 4 H]`` of the last word.

        Returns:
            The new state and where it looked, ``[B, L]``.
        """
        query = self.state_query(state.hidden)[:, None]
        scores = self.place_score((places.keys + query).relu())[..., 0]
        weights = scores.softmax(1)  # [B, L]
        seen = (weights[:, None] @ places.features)[:, 0]  # [B, E]
        seen = self.gate(state.hidden).sigmoid() * seen
        weight = self.cell.weight_ih[:, self.embedding.embedding_dim :]
        gates = (
            word_inputs
            + functional.linear(seen, weight)
            + functional.linear(state.hidden, self.cell.weight_hh, self.cell.bias_hh)
        )
        enter, forget, new, leave = gates.chunk(4, 1)
        cell = forget.sigmoid() * state.cell + enter.sigmoid() * new.tanh()
        return State(leave.sigmoid() * cell.tanh(), cell), weights


def caption_loss(
    logits: Tensor, attention: Tensor, targets: Tensor, pad: int, attention_weight: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The mean loss of a word, and how far each place is from being looked at once in a sentence.

    Args:
        logits: ``[B, T, V]``.
        attention: ``[B, T, L]``.
        targets: ``[B, T]``, the next words, then padding.
        pad: the number of the padding.
        attention_weight: lambda of the doubly stochastic attention (section 4.2.1).

    Returns:
        Two scalars; both 0 without sentences.
    """
    real = targets != pad
    total = functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=pad, reduction='sum'
    )
    looked = (attention * real[..., None]).sum(1)  # [B, L]
    uneven = (1 - looked).square().sum() / max(looked.numel(), 1)
    return total / max(int(real.sum()), 1), attention_weight * uneven
