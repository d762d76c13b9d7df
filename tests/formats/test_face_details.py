"""Files of attributes and meshes: written, read back, refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmext.formats.face_details import (
    FaceDetails,
    ImageDetails,
    MeshTopology,
    read_face_details,
    write_face_details,
)

TABLE = (
    {'name': 'glasses', 'values': ('no', 'yes'), 'kind': 'binary'},
    {'name': 'age', 'values': ('child', 'adult', 'old'), 'kind': 'ordinal'},
)
MESH = MeshTopology(3, ((0, 2),), ((0, 1, 2),))


def test_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = {}
    for number in range(6):
        count = int(rng.integers(0, 4))
        valid = rng.random(count) < 0.7
        mesh = np.where(valid[:, None, None], rng.uniform(0, 99, (count, 3, 3)).round(2), 0)
        attributes = rng.integers(-1, (2, 3), (count, 2))
        images[f'a/{number}.jpg'] = ImageDetails(attributes, mesh.astype(np.float32), valid)
    write_face_details(tmp_path / 'd.jsonl', FaceDetails(TABLE, MESH, images))
    found = read_face_details(tmp_path / 'd.jsonl')
    assert found.attributes == TABLE
    assert found.mesh == MESH
    assert list(found.images) == list(images)
    for number, (name, image) in enumerate(images.items()):
        after = found.images[name]
        assert after.line == number + 2
        np.testing.assert_array_equal(after.attributes, image.attributes)
        np.testing.assert_array_equal(after.mesh_valid, image.mesh_valid)
        np.testing.assert_array_equal(after.mesh, image.mesh)


def test_what_is_left_out_is_unknown(tmp_path: Path) -> None:
    lines: list[Any] = [
        {'attributes': TABLE},
        {'image': 'a.jpg', 'faces': [{}, {'attributes': {'age': 'old', 'glasses': None}}]},
    ]
    (tmp_path / 'd.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    details = read_face_details(tmp_path / 'd.jsonl')
    assert details.mesh is None
    assert details.images['a.jpg'].attributes.tolist() == [[-1, -1], [-1, 2]]
    assert details.images['a.jpg'].mesh.shape == (2, 0, 3)


HEADER = {'attributes': TABLE, 'mesh': {'num_vertices': 3}}


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ([], 'd.jsonl: empty'),
        ([{'image': 'a', 'faces': []}], r'd.jsonl:1: the first line says .* \[.faces., .image.\]'),
        ([HEADER, {'image': 'a'}], r"d.jsonl:2: expected \"image\" and \"faces\", got \['image'\]"),
        ([HEADER, {'image': 'a', 'faces': []}, {'image': 'a', 'faces': []}],
         'd.jsonl:3: a again, first in line 2'),
        ([HEADER, {'image': 'a', 'faces': [{}, {'attributes': {'age': 'young'}}]}],
         "d.jsonl:2: face 1: age: expected one of child, adult, old, got 'young'"),
        ([HEADER, {'image': 'a', 'faces': [{'attributes': {'hat': 'yes'}}]}],
         "d.jsonl:2: face 0: no attribute 'hat'"),
        ([HEADER, {'image': 'a', 'faces': [{'mesh': [[1, 2, 3]]}]}],
         r'face 0: mesh: expected 3 vertices of three finite numbers, got shape \[1, 3\]'),
        ([HEADER, {'image': 'a', 'faces': [{'mesh': [[1, 2], 3]}]}], 'face 0: mesh: expected 3'),
        ([{'mesh': {'num_vertices': 0}}], 'd.jsonl:1: mesh: num_vertices: expected 1 or more'),
        ([{'mesh': {'num_vertices': 3, 'flip_pairs': [[0, 3]]}}],
         r'mesh: flip_pairs: expected 2 vertices 0 to 2, got \(0, 3\)'),
        ([{'mesh': {'num_vertices': 3, 'flip_pairs': [[0]]}}], r'expected 2 vertices .* \(0,\)'),
        ([{'mesh': {'num_vertices': 3, 'triangles': [[0, 1, 'a']]}}], 'triangles: expected 3 vert'),
        ([{'mesh': {'num_vertices': 3, 'triangles': 7}}], "triangles: expected a list, got '7'"),
        ([{'mesh': 3}], "d.jsonl:1: mesh: expected an object, got '3'"),
        ([{'attributes': 3}], "d.jsonl:1: attributes: expected a list, got '3'"),
        ([{'attributes': ['hat']}], "d.jsonl:1: attributes: expected an object, got 'hat'"),
        ([{'attributes': [{'name': 'hat', 'values': 3}]}], 'hat: values: expected a list'),
        ([{'attributes': [{'name': 'hat', 'values': [['no'], ['yes']]}]}],
         'hat: values: expected a text or a number'),
        ([HEADER, {'image': 'a', 'faces': [7]}], "d.jsonl:2: face 0: expected an object, got '7'"),
        ([HEADER, {'image': 'a', 'faces': [{'attributes': ['old']}]}],
         'd.jsonl:2: face 0: attributes: expected an object'),
        ([HEADER, {'image': 'a', 'faces': [{'attributes': {'age': ['old']}}]}],
         'd.jsonl:2: face 0: age: expected one of child, adult, old'),
        ([{'attributes': [TABLE[0], TABLE[0]]}], "names that differ, got 'glasses'"),
        ([{'attributes': [{'name': 'a', 'values': ['x', 'y'], 'kind': 'scalar'}]}],
         "attribute a: kind: expected .*, got 'scalar'"),
        ([{'attributes': [{'name': 'a', 'values': ['x']}]}], 'attribute a: expected 2 values'),
        ([{'attributes': [{'name': 'a', 'values': ['x', 'y', 'z'], 'kind': 'binary'}]}],
         'attribute a: binary has 2 values'),
    ],
)  # fmt: skip
def test_wrong_lines_are_named(lines: list[Any], message: str, tmp_path: Path) -> None:
    (tmp_path / 'd.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    with pytest.raises(ValueError, match=message):
        read_face_details(tmp_path / 'd.jsonl')


def test_no_json(tmp_path: Path) -> None:
    (tmp_path / 'd.jsonl').write_text('{}\n{"image": \n')
    with pytest.raises(ValueError, match=r'd\.jsonl:2: no JSON'):
        read_face_details(tmp_path / 'd.jsonl')
    (tmp_path / 'd.jsonl').write_text('{}\n[1, 2]\n')
    with pytest.raises(ValueError, match=r'd\.jsonl:2: expected an object'):
        read_face_details(tmp_path / 'd.jsonl')


def test_no_text_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / 'd.jsonl'
    file.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match=r'd\.jsonl: no text file'):
        read_face_details(file)
    file.write_text('{}\n  \n{"image": "a", "faces": [{}]}\n', encoding='utf-8-sig')
    assert list(read_face_details(file).images) == ['a']
