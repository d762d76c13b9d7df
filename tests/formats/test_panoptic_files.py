"""COCO panoptic files: PNGs there and back, lists of segments, class tables."""

import cv2
import numpy as np
import pytest

from mmext.formats.panoptic_files import (
    category_table,
    decode_id_png,
    encode_id_png,
    labels_of_categories,
    segment_positions,
)

CATEGORIES = [
    {'id': 9, 'name': 'sky', 'isthing': 0},
    {'id': 4, 'name': 'cat', 'isthing': 1},
    {'id': 7, 'name': 'dog', 'isthing': 1},
]


def test_png_round_trip() -> None:
    ids = np.random.default_rng(0).integers(0, 1 << 24, (30, 41))
    np.testing.assert_array_equal(decode_id_png(encode_id_png(ids), 'a.png'), ids)


def test_png_holds_red_as_lowest_byte() -> None:
    data = np.frombuffer(encode_id_png(np.array([[1 + 2 * 256 + 3 * 65536]])), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).tolist() == [[[3, 2, 1]]]  # blue, green, red


@pytest.mark.parametrize('data', [b'', b'no png'])
def test_unreadable_png_is_named(data: bytes) -> None:
    with pytest.raises(ValueError, match=rf'x/b\.png: not a readable PNG \({len(data)} bytes\)'):
        decode_id_png(data, 'x/b.png')


def test_segment_positions() -> None:
    found = np.array([0, 5, 300, 70000])
    assert segment_positions(found, [70000, 5, 300], 'a.png').tolist() == [3, 1, 2]
    assert segment_positions(np.array([0]), [], 'a.png').tolist() == []


@pytest.mark.parametrize(
    ('found', 'listed', 'message'),
    [
        ([0, 5, 6], [5], 'ids without an entry in segments_info: 6'),
        ([0, 5], [5, 8], 'segments of segments_info without a pixel: 8'),
        ([0, 5], [5, 5], 'list every id once and not 0 .void., got 5'),
        ([0, 5], [0, 5], 'list every id once and not 0 .void., got 0'),
        (range(1, 12), [1], '2, 3, 4, 5, 6, 7, 8, 9 and 2 more'),
    ],
)
def test_png_and_list_disagree(found: list[int], listed: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        segment_positions(np.array(list(found)), listed, 'a.png')
    assert str(error.value).startswith('a.png: ')


def test_category_table_lists_things_first() -> None:
    assert category_table(CATEGORIES) == {
        'classes': ('cat', 'dog', 'sky'),
        'thing_classes': ('cat', 'dog'),
        'stuff_classes': ('sky',),
    }


def test_labels_go_by_name() -> None:
    labels = labels_of_categories(CATEGORIES, ['dog', 'cat', 'sky'], ['dog', 'cat'], 'a.json')
    assert labels == {7: 0, 4: 1, 9: 2}


@pytest.mark.parametrize(
    ('classes', 'things', 'message'),
    [
        (['cat', 'sky'], ['cat'], "only in the file: 'dog'"),
        (['cat', 'dog', 'cow', 'sky'], ['cat', 'dog', 'cow'], "only in metainfo: 'cow'"),
        (['cat', 'dog', 'sky'], ['cat'], "isthing=1 in the file, stuff in metainfo: 'dog'"),
        (
            ['cat', 'dog', 'sky'],
            ['cat', 'dog', 'sky'],
            "isthing=0 in the file, a thing in metainfo: 'sky'",
        ),
    ],
)
def test_class_tables_disagree(classes: list[str], things: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        labels_of_categories(CATEGORIES, classes, things, 'a.json')
    text = str(error.value)
    assert text.startswith('a.json: ')
    assert "metainfo=dict(classes=('cat', 'dog', 'sky'))" in text
    assert text.count('\n') == 3  # one line for the only problem


def test_a_name_used_twice() -> None:
    with pytest.raises(ValueError, match="listed twice: 'sky'"):
        labels_of_categories(
            [*CATEGORIES, CATEGORIES[0]], ['cat', 'dog', 'sky'], ['cat', 'dog'], 'a.json'
        )
