"""What an ONNX file says of itself, read without its network and without a runtime.

A file is a protocol buffer: fields one after the other, each with a number and a kind. Those of
``metadata_props`` have number 14 and hold a key (1) and a value (2).
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

from mmext.errors import InputError

BACKENDS = ('onnxruntime', 'openvino')
"""Runtimes that run such files here."""

_METADATA, _KEY, _VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10


class FileDescription:
    """Base of the dataclasses whose fields stand in a file's metadata, as JSON with a version."""

    VERSION: ClassVar[int] = 1

    def check(self) -> None:
        """Raise ValueError, KeyError or TypeError where a field is not what it should be."""
        raise NotImplementedError

    def to_text(self) -> str:
        """As JSON."""
        fields: Any = self
        return json.dumps(dict(version=self.VERSION, **asdict(fields)))

    @classmethod
    def from_text(cls, text: str, source: str | Path) -> Self:
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
            description.check()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f'{source}: its description is not one of mmext ({error}): export it again'
            ) from error
        if version != cls.VERSION:
            raise InputError(
                f'{source}: its description has version {version}, this mmext reads {cls.VERSION}'
            )
        return description


def check_classes(meta: dict[str, Any]) -> None:
    """Raise ValueError where ``classes`` is no list of names."""
    classes = meta['classes']
    if not (isinstance(classes, list) and classes and all(isinstance(c, str) for c in classes)):
        raise ValueError('classes')


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file; empty where there is none.

    Raises:
        InputError: it is no such file.
    """
    try:
        content = memoryview(path.read_bytes())
        entries = [
            dict(_fields(value)) for number, value in _fields(content) if number == _METADATA
        ]
        return {_text(entry[_KEY]): _text(entry.get(_VALUE, memoryview(b''))) for entry in entries}
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(f'{path}: cannot be read as an ONNX file ({error})') from error


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of every field; of numbers the bytes are empty."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == _VARINT:
            _, place = _varint(content, place)
            yield tag >> 3, memoryview(b'')
            continue
        if kind == _BYTES:
            size, place = _varint(content, place)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f'field of kind {kind}')
        if place + size > len(content):
            raise ValueError('cut off')
        yield tag >> 3, content[place : place + size]
        place += size


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for position in range(_LONGEST_VARINT):
        byte = content[place + position]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, place + position + 1
    raise ValueError('number too long')


def _text(value: memoryview) -> str:
    return bytes(value).decode('utf-8')
