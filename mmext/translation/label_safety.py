"""Are the labels of a picture still true after its translation? By what a detector finds in both.

A translator may repaint: things vanish, or appear where nothing was. A detector that knows both
lights tells: what it found before and does not find after is suspect.

Shape legend: G true boxes, D detections of a picture; boxes are x1, y1, x2, y2.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Found:
    """Detections above the threshold: ``boxes_xyxy`` ``[D, 4]``, ``labels`` ``[D]``."""

    boxes_xyxy: Floats
    labels: Ints


@dataclass
class ClassSafety:
    """Counts of one class.

    Attributes:
        objects: labelled.
        found_before: of them, in the originals.
        vanished: of those, not found in the translations.
        false_before: detections in the originals on no object of the class.
        false_after: in the translations.
    """

    objects: int = 0
    found_before: int = 0
    vanished: int = 0
    false_before: int = 0
    false_after: int = 0


class LabelSafety:
    """Collects the counts over pictures.

    Args:
        num_classes: C.
        min_iou: from which on a detection lies on an object.

    Attributes:
        classes: C counts.
        pictures: looked at.
    """

    def __init__(self, num_classes: int, min_iou: float = 0.5) -> None:
        self.classes = [ClassSafety() for _ in range(num_classes)]
        self.min_iou = min_iou
        self.pictures = 0

    def add(
        self, boxes_xyxy: Floats, labels: Ints, before: Found, after: Found
    ) -> npt.NDArray[np.bool_]:
        """Compare what was found in a picture before and after its translation.

        Args:
            boxes_xyxy: ``[G, 4]``, the truth.
            labels: ``[G]``.
            before: in the original.
            after: in the translation.

        Returns:
            ``[G]``: found before and not after, so that the label is not to be trusted.
        """
        self.pictures += 1
        seen, wrong = judged(boxes_xyxy, labels, before, self.min_iou)
        still, wrong_after = judged(boxes_xyxy, labels, after, self.min_iou)
        vanished = seen & ~still
        for label, counts in enumerate(self.classes):
            own = labels == label
            counts.objects += int(own.sum())
            counts.found_before += int((own & seen).sum())
            counts.vanished += int((own & vanished).sum())
            counts.false_before += int((before.labels[wrong] == label).sum())
            counts.false_after += int((after.labels[wrong_after] == label).sum())
        return vanished

    def table(self, names: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Rows for people, the first with titles; classes without objects and detections not."""
        rows: list[tuple[str, ...]] = [
            ('class', 'objects', 'found', 'vanished', 'false a picture, before', 'after')
        ]
        for name, counts in zip(names, self.classes, strict=True):
            if not (counts.objects or counts.false_before or counts.false_after):
                continue
            share = counts.vanished / counts.found_before if counts.found_before else 0.0
            false = (counts.false_before, counts.false_after)
            rows.append(
                (
                    name,
                    str(counts.objects),
                    str(counts.found_before),
                    f'{counts.vanished} ({share:.0%})',
                    *(f'{number / max(self.pictures, 1):.2f}' for number in false),
                )
            )
        return rows


def judged(
    boxes_xyxy: Floats, labels: Ints, found: Found, min_iou: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which objects have a detection of their class, and which detections have no such object.

    Args:
        boxes_xyxy: ``[G, 4]``.
        labels: ``[G]``.
        found: D detections.
        min_iou: from which on they belong together.

    Returns:
        ``[G]`` and ``[D]``.
    """
    fits = ious(boxes_xyxy, found.boxes_xyxy) >= min_iou
    fits &= labels[:, None] == found.labels[None]
    return np.asarray(fits.any(axis=1)), np.asarray(~fits.any(axis=0))


def ious(first: Floats, second: Floats) -> Floats:
    """Intersection over union of ``[G, 4]`` and ``[D, 4]``: ``[G, D]``."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [
        np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=-1) for boxes in (first, second)
    ]
    union = areas[0][:, None] + areas[1][None] - common
    return common / np.maximum(union, 1e-9)
