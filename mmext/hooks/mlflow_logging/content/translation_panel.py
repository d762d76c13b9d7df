"""A translated picture beside its source: A, A to B and back, or map, made and true photo."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from mmext.drawing.layout import resized, side_by_side, viewing_size
from mmext.drawing.panels import Classes
from mmext.hooks.mlflow_logging.content.images import image_records
from mmext.hooks.mlflow_logging.delivery.records import Record

_UNKNOWN = (90, 90, 90)  # of no class
_EDGE = (255, 255, 255)
_FIELDS = (('translated', 'translated'), ('returned', 'back again'), ('target', 'truth'))


class TranslationPanel:
    """One source with what was made of it, ready to be drawn.

    Args:
        name: of the picture.
        source: uint8 ``[3, H, W]`` BGR, or ``[2, H, W]``: labels and edges of instances.
        sample: with ``translated`` and, where they are, ``returned`` and ``target``; of a sample
            that came back, the target is another scene, and is not shown.
    """

    def __init__(self, name: str, source: torch.Tensor, sample: Any) -> None:
        self.name = name
        self._source = source.cpu().numpy()
        hidden = {'target'} if 'returned' in sample else set()
        self._made = [
            (title, sample.get(field).cpu().numpy())
            for field, title in _FIELDS
            if field in sample and field not in hidden
        ]
        self.image = _rgb(self._made[0][1])
        self.drawn: np.ndarray | None = None

    def records(
        self, mode: str, step: int, classes: Classes, first: bool = False
    ) -> Iterator[Record]:
        """Draw it; see :meth:`.panel_collector.Panel.records`."""
        is_map = self._source.shape[0] != self._made[0][1].shape[0]
        source = painted_map(self._source, classes.palette) if is_map else _rgb(self._source)
        pictures = [source, *(_rgb(made) for _, made in self._made)]
        size = viewing_size(pictures[1].shape[:2])
        titles = ['source', *(title for title, _ in self._made)]
        self.drawn = side_by_side([resized(each, size) for each in pictures], titles)
        yield from image_records(f'{mode}/{self.name}', self.drawn, step)


def painted_map(source: np.ndarray, palette: Sequence[Any]) -> np.ndarray:
    """A map in the colors of its classes, edges of instances white.

    Args:
        source: ``[2, H, W]``: labels and edges.
        palette: RGB of the classes.

    Returns:
        ``[H, W, 3]`` RGB uint8.
    """
    colors = np.full((256, 3), _UNKNOWN, np.uint8)
    colors[: len(palette)] = np.asarray(palette, np.uint8).reshape(-1, 3)
    painted = colors[source[0]]
    painted[source[1] > 0] = _EDGE
    return painted


def _rgb(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[::-1].transpose(1, 2, 0))
