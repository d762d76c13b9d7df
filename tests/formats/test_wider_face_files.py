"""The text formats of WIDER FACE: read by hand-written cases, written and read back, refused."""

from pathlib import Path

import numpy as np
import pytest

from mmext.formats.wider_face_files import (
    ATTRIBUTES,
    Form,
    ImageFaces,
    parse_faces,
    read_faces,
    write_faces,
)

WIDER = """0--Parade/0_Parade_a_1.jpg
2
449 330 122 149 0 0 0 0 0 0
10 20 5 0 2 1 1 1 2 1
0--Parade/0_Parade_empty_2.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/1_Handshaking_b_3.jpg
1
1 2 3 4 1 0 0 0 1 0
"""
RETINAFACE = """# 0--Parade/0_Parade_a_1.jpg
449 330 122 149 488.906 373.643 0.0 542.089 376.442 1.0 515.031 412.83 0.0 485.174 425.893 0.0 \
538.357 431.491 -1.0 0.82
# 0--Parade/0_Parade_empty_2.jpg

# 1--Handshaking/1_Handshaking_b_3.jpg
1 2 3 4
"""
LABELV2 = """# 0--Parade/a photo.jpg 1024 768
10 20 40 60 15 30 0 30 30 0 22 40 1 16 50 0 30 50 0
11 21 31 41 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1
50 60 70 80 1
51 61 71 81 0
# 1--Handshaking/b.jpg 640 480
1 2 3.5 4
"""


def test_original_format() -> None:
    first, empty, last = parse_faces(WIDER, 'gt.txt')
    assert first.name == '0--Parade/0_Parade_a_1.jpg'
    assert first.boxes_xywh.tolist() == [[449, 330, 122, 149], [10, 20, 5, 0]]
    names = [attribute['name'] for attribute in ATTRIBUTES]
    values = dict(zip(names, first.attributes[1].tolist(), strict=True))
    assert values == {
        'blur': 2, 'expression': 1, 'illumination': 1, 'invalid': 1, 'occlusion': 2, 'pose': 1
    }  # fmt: skip
    assert not first.visible.any()
    assert (empty.name, len(empty)) == ('0--Parade/0_Parade_empty_2.jpg', 0)
    assert (last.line, len(last)) == (8, 1)


def test_original_format_without_the_line_of_zeros() -> None:
    images = parse_faces('a/b.jpg\n0\nc/d.jpg\n1\n1 2 3 4 0 0 0 0 0 0\n', 'gt.txt')
    assert [(i.name, len(i)) for i in images] == [('a/b.jpg', 0), ('c/d.jpg', 1)]


def test_retinaface_format() -> None:
    first, empty, last = parse_faces(RETINAFACE, 'label.txt')
    assert first.boxes_xywh.tolist() == [[449, 330, 122, 149]]
    assert first.visible.tolist() == [[2, 1, 2, 2, 0]]
    assert first.landmarks[0, :2].tolist() == [[488.906, 373.643], [542.089, 376.442]]
    assert first.landmarks[0, 4].tolist() == [0, 0]
    assert first.blurriness.tolist() == [0.82]
    assert (first.attributes == -1).all()
    assert len(empty) == 0
    assert last.boxes_xywh.tolist() == [[1, 2, 3, 4]]
    assert not last.visible.any()


def test_labelv2_format() -> None:
    first, last = parse_faces(LABELV2, 'labelv2.txt')
    assert (first.name, first.size) == ('0--Parade/a photo.jpg', (1024, 768))
    assert first.boxes_xywh.tolist()[:2] == [[10, 20, 30, 40], [11, 21, 20, 20]]
    assert first.visible.tolist() == [[2, 2, 1, 2, 2], [0] * 5, [0] * 5, [0] * 5]
    assert first.ignored.tolist() == [False, False, True, False]
    assert last.boxes_xywh.tolist() == [[1, 2, 2.5, 2]]


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('form', ['wider', 'retinaface', 'labelv2'])
def test_written_files_are_read_back(form: Form, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    images = []
    for number in range(8):
        count = int(rng.integers(0, 4))
        boxes = rng.integers(0, 500, (count, 4)).astype(float)
        visible = rng.integers(0, 3, (count, 5))
        points = np.where(visible[..., None] > 0, rng.uniform(-5, 700, (count, 5, 2)), 0)
        attributes = rng.integers(0, [len(a['values']) for a in ATTRIBUTES], (count, 6))
        ignored = rng.random(count) < 0.3
        images.append(
            ImageFaces(
                f'{number % 3}--Some/photo {number}.jpg', boxes, points, visible, attributes,
                ignored, rng.random(count), (640 + number, 480),
            )
        )  # fmt: skip
    write_faces(tmp_path / 'faces.txt', images, form)
    found = read_faces(tmp_path / 'faces.txt')
    assert [i.name for i in found] == [i.name for i in images]
    for before, after in zip(images, found, strict=True):
        np.testing.assert_array_equal(before.boxes_xywh, after.boxes_xywh)
        if form == 'wider':
            np.testing.assert_array_equal(before.attributes, after.attributes)
            continue
        known = ~before.ignored if form == 'labelv2' else np.ones(len(before), bool)
        np.testing.assert_array_equal(before.visible[known], after.visible[known])
        np.testing.assert_array_equal(before.landmarks[known], after.landmarks[known])
        if form == 'labelv2':
            assert before.size == after.size
            np.testing.assert_array_equal(before.ignored, after.ignored)
        else:
            np.testing.assert_array_equal(before.blurriness, after.blurriness)
    write_faces(tmp_path / 'boxes.txt', images, form, boxes_only=True)
    boxes = read_faces(tmp_path / 'boxes.txt', form)
    assert sum(map(len, boxes)) == sum(map(len, images))
    assert not any(i.visible.any() for i in boxes)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'x.txt: no image in it'),
        ('# a.jpg\n1 2 3\n', 'x.txt:2: expected 4 or 20 numbers, got 3'),
        ('# a.jpg\n1 2 3 4\n1 2 3 4 5\n', 'x.txt:3: expected 4 or 20 numbers, got 5'),
        ('# a.jpg\n1 2 3 four\n', "x.txt:2: no numbers: '1 2 3 four'"),
        ('# a.jpg\n1 2 3 nan\n', 'x.txt:2: not finite'),
        ('# a.jpg\n1 2 3 4 ' + '1 1 0.5 ' * 5 + '0\n', 'x.txt:2: expected landmarks as x y v'),
        ('# a.jpg\n1 2 3 4\n# a.jpg\n', 'x.txt:3: a.jpg again, first in line 1'),
        ('#\n1 2 3 4\n', 'x.txt:1: expected "# name"'),
        ('# a.jpg 10 20\n1 2 3 4\n# b.jpg\n', 'x.txt:3: expected "# name width height"'),
        ('# a.jpg 10 20\n1 2 3 4 7\n', 'x.txt:2: expected an ignore flag of 0 or 1'),
        ('# a.jpg 10 20\n1 2 3 4 5 6\n', 'x.txt:2: expected 4 or 5 or 19 numbers, got 6'),
        ('a.jpg\nmany\n', "x.txt:2: expected the number of faces of a.jpg, got 'many'"),
        ('a.jpg\n', 'x.txt:1: expected the number of faces of a.jpg'),
        ('a.jpg\n3\n1 2 3 4 0 0 0 0 0 0\n', 'x.txt:2: 3 faces announced for a.jpg, 1 lines left'),
        ('a.jpg\n1\n1 2 3 4 0 0 0 0 0\n', 'x.txt:3: expected 10 numbers, got 9'),
        ('a.jpg\n1\n1 2 3 4 3 0 0 0 0 0\n', 'x.txt:3: blur: expected 0 to 2, got 3'),
        ('a.jpg\n1\n1 2 3 4 0 0 0 0 0 -1\n', 'x.txt:3: pose: expected 0 to 1, got -1'),
        ('a.jpg\n1\n1 2 3 4 0 0 0 0 0.5 0\n', 'x.txt:3: occlusion: expected 0 to 2, got 0.5'),
    ],
)
def test_wrong_lines_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_faces(text, 'x.txt')


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'a.mat').write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match=r'a\.mat: no text file'):
        read_faces(tmp_path / 'a.mat')


@pytest.mark.parametrize(
    ('form', 'message'), [('wider', 'states all six attributes'), ('labelv2', 'states the size')]
)
def test_what_a_format_needs_is_missing(form: Form, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f'a.jpg: .*{message}'):
        write_faces(tmp_path / 'x.txt', [ImageFaces('a.jpg', np.ones((1, 4)))], form)
