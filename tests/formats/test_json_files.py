"""JSON as editors and full disks leave it."""

import gzip
import json

import pytest

from mmext.errors import InputError
from mmext.formats.json_files import parse_json

CONTENT = {'name': 'Straße, 猫', 'values': [1, 2.5, None]}
TEXT = json.dumps(CONTENT, ensure_ascii=False)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-32'])
def test_every_unicode_encoding_is_read(encoding: str) -> None:
    assert parse_json(TEXT.encode(encoding), 'x.json') == CONTENT


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'x.json is empty'),
        (b' \r\n', 'x.json is empty'),
        (TEXT.encode()[:-9], 'x.json is cut off: .* line 1, column'),
        (b'{"a": "b', 'x.json is cut off'),
        (b'{"a": [1,\r\n', 'x.json is cut off: .* line 2'),
        (b'<html>', 'x.json is no JSON: .* line 1, column 1'),
        (b"{'a': 1}", 'x.json is no JSON: .* line 1, column 2'),
        (gzip.compress(b'[]', mtime=0), 'x.json is no text in UTF-8 or UTF-16 .* unpack it'),
        ('{"a": "\xdf"}'.encode('latin-1'), 'x.json is no text in UTF-8 or UTF-16'),
        (b'[' * 200_000, 'x.json is nested too deeply'),
    ],
)
def test_anything_else_is_one_line(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_json(data, 'x.json')
    assert '\n' not in str(error.value)
