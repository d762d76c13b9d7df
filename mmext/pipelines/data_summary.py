"""What a data set holds, in one line: said before every run.

train: 118287 images; objects: 860001 annotated, 849942 usable, 7038 ignored (crowds), 3021 left
out (2 outside of their image; first: annotation 7 of image 9, ...); 80 classes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_NAMED = 8


@dataclass
class DataSummary:
    """Counts of a data set.

    Attributes:
        source: the annotation file.
        images: that are in the data set.
        annotated: objects in the annotation file.
        usable: objects that are learned or have to be found.
        ignored: objects that are neither right nor wrong: crowds and the like.
        left_out: why objects are not used -> how many and an example.
        notes: what else is to be known, one sentence each.
        classes: names in the order of the labels.
        absent: classes without an object.
        unused: categories of the file that are no class.
        filtered: images of the file that ``filter_cfg`` leaves out.
        segments: of a panoptic file, with those of stuff.
    """

    source: str
    images: int
    annotated: int
    usable: int
    ignored: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    classes: Sequence[str] = ()
    absent: Sequence[str] = ()
    unused: Sequence[str] = ()
    filtered: int = 0
    segments: int | None = None

    def line(self, name: str) -> str:
        """The line that is said at the start of a run.

        Args:
            name: of the data set: ``train``, ``val`` or ``test``.
        """
        parts = [
            f'{name}: {self.images} images',
            f'objects: {self.annotated} annotated, {self.usable} usable, {self.ignored} ignored'
            + (f', {self._num_left_out} left out' if self._num_left_out else ''),
            f'{len(self.classes)} classes',
            *(f'left out: {text}' for text in self.left_out.values()),
        ]
        if self.segments is not None:
            parts.append(self._segments())
        parts += self.notes
        if self.absent and self.usable:
            parts.append(f'no object of {some_names(self.absent)}')
        if self.unused:
            parts.append(f'categories that are no class: {some_names(self.unused)}')
        return f'{"; ".join(parts)} ({self.source})'

    def _segments(self) -> str:
        if not self.segments:
            return 'no segments'
        stuff = self.segments - self.annotated
        return (
            f'{self.segments} segments, {self.annotated} of things (the objects), {stuff} of stuff'
        )

    @property
    def _num_left_out(self) -> int:
        return self.annotated - self.usable - self.ignored


def summary_of(dataset: Any) -> DataSummary:
    """The summary of a data set that makes none itself, counted from its ``instances``.

    Args:
        dataset: of mmengine's form: ``len``, ``get_data_info``, ``metainfo``.
    """
    counts = [0, 0]
    for index in range(len(dataset)):
        for instance in dataset.get_data_info(index).get('instances', ()):
            counts[bool(instance.get('ignore_flag', 0))] += 1
    usable, ignored = counts
    classes = dataset.metainfo.get('classes', ())
    source = getattr(dataset, 'ann_file', type(dataset).__name__)
    return DataSummary(
        source, len(dataset), usable + ignored, usable, ignored, classes=tuple(classes)
    )


def some_names(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return ', '.join(map(repr, names[:_NAMED])) + more
