"""What an ONNX file says of itself, read without its network and without a runtime.

A file is a protocol buffer: fields one after the other, each with a number and a kind. Those of
``metadata_props`` have number 14 and hold a key (1) and a value (2).
"""

from collections.abc import Iterator
from pathlib import Path

from mmext.errors import InputError

BACKENDS = ('onnxruntime', 'openvino')
"""Runtimes that run such files here."""

_METADATA, _KEY, _VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10


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
