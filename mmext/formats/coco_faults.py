"""What can be wrong with an object of a COCO file, counted, with the first example."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from mmext.errors import InputError


class Fault(StrEnum):
    """What can be wrong with an object; the text completes "12 objects ..."."""

    UNKNOWN_IMAGE = 'of images that the file does not list'
    UNKNOWN_CATEGORY = 'of categories that the file does not list'
    NO_BOX = 'without bbox'
    BAD_BOX = 'whose bbox is not four numbers'
    NOT_FINITE = 'with a bbox that is not finite'
    SMALL = 'smaller than a pixel'
    OUTSIDE = 'outside of their image'
    BAD_MASK = 'whose segmentation is neither polygons nor a run-length code of the image'


UNREADABLE = (Fault.NO_BOX, Fault.BAD_BOX)
"""Faults of a file that was written wrongly: no one can guess the box."""


@dataclass
class Faults:
    """How often each fault occurs, and where first."""

    counts: dict[Fault, int] = field(default_factory=dict)
    first: dict[Fault, str] = field(default_factory=dict)

    def add(self, fault: Fault, where: str) -> None:
        """Count one."""
        self.counts[fault] = self.counts.get(fault, 0) + 1
        self.first.setdefault(fault, where)

    def text(self, fault: Fault) -> str:
        """``3 without bbox (first: annotation 7 of image 2)``."""
        return f'{self.counts[fault]} {fault} (first: {self.first[fault]})'

    def refuse(self, faults: Iterable[Fault], source: str, remedy: str) -> None:
        """Raise InputError if one of ``faults`` occurs."""
        found = [self.text(fault) for fault in faults if fault in self.counts]
        if found:
            raise InputError(f'{source}: objects {"; ".join(found)}. {remedy}')


def refuse_unreadable(faults: Faults, source: str) -> None:
    """Raise InputError if an object has no box that can be read."""
    faults.refuse(
        UNREADABLE, source, 'bbox is x, y, width, height in pixels: correct or remove them'
    )
