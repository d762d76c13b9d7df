"""Attributes of a face: any number of binary, categorical and ordinal ones, some unknown.

A binary attribute has one logit, an ordinal one of K values has K - 1 ("above the first value",
"above the second" ..., as in Niu et al., "Ordinal regression with multiple output CNN for age
estimation", CVPR 2016), a categorical one of K values has K under a softmax. Binary is ordinal
with two values, so that both kinds of all attributes are one tensor operation.

Shapes: M faces, A attributes, L logits. A label is the number of a value, -1 = unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmext.errors import InputError
from mmext.formats.face_details import KINDS

UNKNOWN = -1


@dataclass(frozen=True)
class Attribute:
    """One attribute.

    Attributes:
        name: of the attribute.
        values: names of its values, in the order of the labels.
        kind: one of ``KINDS``.
        weight: of its loss.
    """

    name: str
    values: tuple[str, ...]
    kind: str = 'categorical'
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, 'values', tuple(self.values))
        if self.kind not in KINDS:
            raise InputError(
                f'attribute {self.name!r}: expected kind to be one of {", ".join(KINDS)}, '
                f'got {self.kind!r}'
            )
        if len(self.values) < 2 or (self.kind == 'binary' and len(self.values) != 2):
            wanted = '2' if self.kind == 'binary' else '2 or more'
            raise InputError(
                f'attribute {self.name!r} ({self.kind}): expected {wanted} values, '
                f'got {len(self.values)}'
            )

    @property
    def num_logits(self) -> int:
        """Number of logits of the attribute."""
        return len(self.values) - (self.kind != 'categorical')


@dataclass(frozen=True)
class AttributeTable:
    """All attributes of a head, and where their logits lie."""

    attributes: tuple[Attribute, ...]
    starts: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        starts = [0]
        for attribute in self.attributes:
            starts.append(starts[-1] + attribute.num_logits)
        object.__setattr__(self, 'starts', tuple(starts))

    @classmethod
    def from_config(cls, entries: Sequence[Mapping[str, Any]]) -> 'AttributeTable':
        """Make the table from dicts with ``name``, ``values``, ``kind`` and, if not 1, ``weight``.

        Raises:
            InputError: naming the attribute and what is wrong.
        """
        names = [entry.get('name') for entry in entries]
        if len(set(names)) < len(names):
            raise InputError(f'attributes: expected names that differ, got {names}')
        return cls(tuple(Attribute(**entry) for entry in entries))

    @property
    def num_logits(self) -> int:
        """Number of logits of all attributes."""
        return self.starts[-1]

    def thresholds(self, device: torch.device | str) -> Tensor:
        """Of each "above" logit its index, its attribute and its value; ``[3, T]``."""
        return _thresholds(self, str(device))

    def weights(self, device: torch.device | str) -> Tensor:
        """Weights of the losses, ``[A]``."""
        return _weights(self, str(device))

    def softmaxes(self) -> list[tuple[int, slice]]:
        """Of each categorical attribute its index and the slice of its logits."""
        return [
            (index, slice(self.starts[index], self.starts[index + 1]))
            for index, attribute in enumerate(self.attributes)
            if attribute.kind == 'categorical'
        ]


@lru_cache(maxsize=16)
def _thresholds(table: AttributeTable, device: str) -> Tensor:
    columns = [
        (start + k, index, k)
        for index, (attribute, start) in enumerate(
            zip(table.attributes, table.starts[:-1], strict=True)
        )
        if attribute.kind != 'categorical'
        for k in range(attribute.num_logits)
    ]
    with torch.inference_mode(False):  # it serves training as well
        return torch.tensor(columns, dtype=torch.int64, device=device).reshape(-1, 3).T


@lru_cache(maxsize=16)
def _weights(table: AttributeTable, device: str) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor([attribute.weight for attribute in table.attributes], device=device)


def attribute_losses(logits: Tensor, labels: Tensor, table: AttributeTable) -> Tensor:
    """Cross entropy of each attribute, summed over the faces where it is known.

    Args:
        logits: ``[M, L]``.
        labels: ``[M, A]`` int64, ``UNKNOWN`` where it is not known.
        table: the attributes.

    Returns:
        ``[A]``; divide by ``(labels >= 0).sum(0)`` for means.
    """
    losses = logits.new_zeros(len(table.attributes))
    logit_index, attribute_index, value = table.thresholds(logits.device)  # [T]
    if len(logit_index):
        matched_labels = labels[:, attribute_index]  # [M, T]
        entropy = F.binary_cross_entropy_with_logits(
            logits[:, logit_index], (matched_labels > value).to(logits.dtype), reduction='none'
        )
        sums = torch.where(matched_labels >= 0, entropy, 0.0).sum(dim=0)
        losses = losses.index_add(0, attribute_index, sums)
    for index, columns in table.softmaxes():
        losses[index] = F.cross_entropy(
            logits[:, columns], labels[:, index], ignore_index=UNKNOWN, reduction='sum'
        )
    return losses


def decode_attributes(logits: Tensor, table: AttributeTable) -> tuple[Tensor, Tensor]:
    """The most likely value of each attribute, and its score.

    The value of an ordinal attribute is the number of its logits over 0. Its score is the
    probability that the attribute is above the next lower value, times the probability that it is
    not above this value.

    Args:
        logits: ``[M, L]``.
        table: the attributes.

    Returns:
        ``[M, A]`` int64 values and ``[M, A]`` scores in 0..1.
    """
    shape = (len(logits), len(table.attributes))
    values = torch.zeros(shape, dtype=torch.int64, device=logits.device)
    scores = logits.new_ones(shape)
    logit_index, attribute_index, value = table.thresholds(logits.device)  # [T]
    if len(logit_index):
        above = logits[:, logit_index]  # [M, T]
        values = values.index_add(1, attribute_index, (above > 0).long())
        decoded = values[:, attribute_index]
        factor = torch.where(decoded == value, F.logsigmoid(-above), 0.0)
        factor = torch.where(decoded == value + 1, F.logsigmoid(above), factor)
        scores = torch.zeros_like(scores).index_add(1, attribute_index, factor).exp()
    for index, columns in table.softmaxes():
        scores[:, index], values[:, index] = logits[:, columns].softmax(dim=1).max(dim=1)
    return values, scores
