"""Labels of panoptic maps: the id of a segment, and the two orders of classes.

A panoptic id is ``label + 1000 * instance number``; stuff has number 0, things count from 1, and
void is the number of classes, as in mmdetection.

Data sets of this project list **things first**; the channels of UPSNet (Xiong et al., CVPR 2019)
are **stuff first**, each kind in the order of the data set. :class:`ClassOrder` is the one place
that translates, for any list of classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

INSTANCE_OFFSET = 1000


def encode_panoptic(labels: Tensor, instance_numbers: Tensor) -> Tensor:
    """Panoptic ids of labels and instance numbers, two integer tensors of one shape.

    >>> encode_panoptic(torch.tensor([3, 60]), torch.tensor([2, 0])).tolist()
    [2003, 60]
    """
    return labels + INSTANCE_OFFSET * instance_numbers


def decode_panoptic(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Labels and instance numbers of panoptic ids, the inverse of :func:`encode_panoptic`.

    >>> [part.tolist() for part in decode_panoptic(torch.tensor([2003, 60]))]
    [[3, 60], [2, 0]]
    """
    return ids % INSTANCE_OFFSET, ids.div(INSTANCE_OFFSET, rounding_mode='floor')


@dataclass(frozen=True)
class ClassOrder:
    """Translation between the labels of a data set and the stuff-first channels of the paper.

    Attributes:
        is_thing: for every label whether it is a thing.

    >>> order = ClassOrder.from_names(['person', 'road', 'car'], ['person', 'car'])
    >>> order.channel_of_label
    (1, 0, 2)
    >>> order.label_of_channel
    (1, 0, 2)
    """

    is_thing: tuple[bool, ...]

    @classmethod
    def from_names(cls, classes: Sequence[str], thing_classes: Iterable[str]) -> ClassOrder:
        """Order of a list of class names, every name not in ``thing_classes`` being stuff.

        Raises:
            ValueError: if a name appears twice or a thing is not among the classes.
        """
        things = set(thing_classes)
        if len(set(classes)) != len(classes):
            twice = sorted({name for name in classes if list(classes).count(name) > 1})
            raise ValueError(f'classes: expected distinct names, got {twice} more than once')
        if not things <= set(classes):
            raise ValueError(
                f'thing_classes: {sorted(things - set(classes))} not among the classes'
            )
        return cls(tuple(name in things for name in classes))

    @classmethod
    def things_first(cls, num_things: int, num_stuff: int) -> ClassOrder:
        """Order of the data sets of this project."""
        return cls((True,) * num_things + (False,) * num_stuff)

    @property
    def num_things(self) -> int:
        """Number of thing classes T."""
        return sum(self.is_thing)

    @property
    def num_stuff(self) -> int:
        """Number of stuff classes S."""
        return len(self.is_thing) - self.num_things

    @property
    def is_things_first(self) -> bool:
        """Whether labels 0..T-1 are the things, as the heads of this project expect."""
        return self == self.things_first(self.num_things, self.num_stuff)

    @cached_property
    def label_of_channel(self) -> tuple[int, ...]:
        """Label of every channel: the stuff labels in ascending order, then the things."""
        return tuple(sorted(range(len(self.is_thing)), key=lambda label: self.is_thing[label]))

    @cached_property
    def channel_of_label(self) -> tuple[int, ...]:
        """Channel of every label, the inverse of :attr:`label_of_channel`."""
        return tuple(self.label_of_channel.index(label) for label in range(len(self.is_thing)))

    def to_channels(self, by_label: Tensor, dim: int = 0) -> Tensor:
        """Reorder an axis of C entries (logits, weights) from label order to channel order."""
        return self._take(by_label, self.label_of_channel, dim)

    def to_labels(self, by_channel: Tensor, dim: int = 0) -> Tensor:
        """Reorder an axis of C entries (logits, weights) from channel order to label order."""
        return self._take(by_channel, self.channel_of_label, dim)

    def _take(self, values: Tensor, entries: tuple[int, ...], dim: int) -> Tensor:
        if values.shape[dim] != len(self.is_thing):
            raise ValueError(
                f'axis {dim}: expected {len(self.is_thing)} classes, got {values.shape[dim]}'
            )
        return values.index_select(dim, torch.tensor(entries, device=values.device))
