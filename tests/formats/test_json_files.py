"""JSON as editors and full disks leave it."""

import gzip
import json
import math
import random
from pathlib import Path

import pytest

from mmext.errors import InputError
from mmext.formats.json_files import parse_json, read_json

CONTENT = {'name': 'Straße, 猫', 'values': [1, 2.5, None]}
TEXT = json.dumps(CONTENT, ensure_ascii=False)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-32'])
def test_every_unicode_encoding_is_read(encoding: str) -> None:
    assert parse_json(TEXT.encode(encoding), 'x.json') == CONTENT


def test_what_only_the_slower_parser_reads_is_read_too() -> None:
    values = parse_json(b'[NaN, -Infinity, "\\ud800", 1.5, 9007199254740993]', 'x.json')
    assert math.isnan(values[0])
    assert values[1:] == [-math.inf, '\ud800', 1.5, 2**53 + 1]


@pytest.mark.parametrize('number', [2**53 + 1, 2**63, 2**64, -(2**70) + 1, 10**40 + 7])
def test_whole_numbers_keep_all_their_digits(number: int) -> None:
    assert parse_json(json.dumps({'id': number}).encode(), 'x.json') == {'id': number}


def test_numbers_are_those_of_the_standard_library() -> None:
    draw = random.Random(0)
    values = [draw.uniform(-1, 1) * 10.0 ** draw.randint(-300, 300) for _ in range(5000)]
    assert parse_json(json.dumps(values).encode(), 'x.json') == values


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'gone\.json: cannot be read'):
        read_json(tmp_path / 'gone.json')


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
