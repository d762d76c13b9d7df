"""What the first ONNX file of a detector in parts says: config, class table, the other files.

It is read as data: the config in the way of :mod:`mmext.host_repairs.stored_config`.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmext.errors import InputError

KEY = 'mmext.detector'
_VERSION = 1


@dataclass
class PartsDescription:
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

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(dict(version=_VERSION, **asdict(self)))

    @classmethod
    def from_text(cls, text: str, source: Path) -> 'PartsDescription':
        """Read it.

        Args:
            text: as :meth:`to_text` writes it.
            source: the file, for errors.

        Raises:
            InputError: it says something else.
        """
        try:
            content = json.loads(text)
            version = content.pop('version')
            description = cls(**content)
            _check(description)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f'{source}: its description is not one of mmext ({error}): export it again'
            ) from error
        if version != _VERSION:
            raise InputError(
                f'{source}: its description has version {version}, this mmext reads {_VERSION}'
            )
        return description

    def files(self, first: Path) -> dict[str, Path]:
        """The file of each part.

        Args:
            first: that this description is in.
        """
        return {name: part_file(first, name, i == 0) for i, name in enumerate(self.parts)}


def part_file(out: Path, name: str, first: bool) -> Path:
    """``upsnet.onnx`` for the first part, ``upsnet.boxes.onnx`` for another."""
    return out if first else out.with_suffix(f'.{name}{out.suffix}')


def _check(description: PartsDescription) -> None:
    """Whether all parts are what they should be; ValueError says which is not."""
    classes = description.meta['classes']
    if not (isinstance(classes, list) and classes and all(isinstance(c, str) for c in classes)):
        raise ValueError('classes')
    if not isinstance(description.config, str):
        raise ValueError('config')
    for name, outputs in description.parts.items():
        if not name.isidentifier() or not all(isinstance(output, str) for output in outputs):
            raise ValueError(f'parts: {name!r}')
    if not description.parts:
        raise ValueError('parts')
