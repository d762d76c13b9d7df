"""What the first ONNX file of a detector in parts says: config, class table, the other files.

It is read as data: the config in the way of :mod:`mmext.host_repairs.stored_config`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmext.formats.onnx_metadata import FileDescription, check_classes

KEY = 'mmext.detector'


@dataclass
class PartsDescription(FileDescription):
    """A detector in parts.

    Attributes:
        config: mmengine's text of the config.
        meta: the class table: ``classes`` and what else is known.
        parts: names of the outputs of each part, the first in the file itself.
        decoded: the parts that give places in pixels, which low precision would round.
    """

    config: str
    meta: dict[str, Any]
    parts: dict[str, list[str]]
    decoded: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Whether all parts are what they should be; ValueError says which is not."""
        check_classes(self.meta)
        if not isinstance(self.config, str):
            raise ValueError('config')
        for name, outputs in self.parts.items():
            if not name.isidentifier() or not all(isinstance(output, str) for output in outputs):
                raise ValueError(f'parts: {name!r}')
        if not self.parts:
            raise ValueError('parts')

    def files(self, first: Path) -> dict[str, Path]:
        """The file of each part.

        Args:
            first: that this description is in.
        """
        return {name: part_file(first, name, i == 0) for i, name in enumerate(self.parts)}


def part_file(out: Path, name: str, first: bool) -> Path:
    """``upsnet.onnx`` for the first part, ``upsnet.boxes.onnx`` for another."""
    return out if first else out.with_suffix(f'.{name}{out.suffix}')
