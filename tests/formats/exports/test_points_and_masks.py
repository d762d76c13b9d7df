"""Key points and painted masks of each tool that has them: one truth, read back as COCO."""

import base64
import io
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pycocotools import mask as run_lengths

from mmext.errors import InputError
from mmext.formats.exports.coco_content import class_names, coco_content
from mmext.formats.exports.key_points import point_tables
from mmext.formats.exports.labeled import Export
from mmext.formats.exports.pixel_masks import mask_of_brush, mask_of_rows

WIDTH, HEIGHT = 40, 20
BOX = (4.0, 2.0, 20.0, 10.0)
POINTS = {'nose': (10.0, 5.0, 2), 'left_ear': (6.0, 3.0, 1), 'right_ear': (0.0, 0.0, 0)}
NAMES = list(POINTS)


def painted() -> npt.NDArray[np.bool_]:
    """A mask ``[20, 40]`` with a hole, two parts and single pixels."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 5:15] = True
    mask[5:7, 8:11] = False
    mask[12, 20:30:2] = True
    return mask


def photo(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / 'a.png')


def yolo(folder: Path) -> Path:
    photo(folder / 'images')
    x, y, w, h = BOX
    row = [(x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT]
    for px, py, seen in POINTS.values():
        row += [px / WIDTH, py / HEIGHT, seen]
    (folder / 'labels').mkdir()
    (folder / 'labels/a.txt').write_text(' '.join(map(str, [0, *row])))
    (folder / 'data.yaml').write_text(
        'train: images\nnames: [cat]\nkpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\n'
        f'kpt_names: {{0: {json.dumps(NAMES)}}}\n'
    )
    return folder


def cvat(folder: Path) -> Path:
    photo(folder / 'images')
    x, y, w, h = BOX
    nodes = ''.join(
        f'<circle r="1" data-type="element node" data-node-id="{i}" data-label-name="{name}"/>'
        for i, name in enumerate(NAMES, start=7)
    )
    lines = '<line x1="1" data-type="edge" data-node-from="7" stroke="black" data-node-to="8"/>'
    labels = '<label><name>cat</name><type>skeleton</type><svg>' + escape(lines + nodes) + '</svg>'
    labels += '</label>' + ''.join(
        f'<label><name>{n}</name><type>points</type><parent>cat</parent></label>' for n in NAMES
    )
    points = ''.join(
        f'<points label="{name}" outside="{int(seen == 0)}" occluded="{int(seen == 1)}" '
        f'points="{px},{py}"/>'
        for name, (px, py, seen) in reversed(POINTS.items())
    )
    (folder / 'annotations.xml').write_text(
        f'<annotations><meta><job><labels>{labels}</labels></job></meta>'
        f'<image name="a.png"><skeleton label="cat" group_id="3">{points}</skeleton>'
        f'<box label="cat" group_id="3" xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}"/>'
        '</image></annotations>'
    )
    return folder


def labelme(folder: Path) -> Path:
    photo(folder)
    x, y, w, h = BOX
    shapes: list[dict[str, Any]] = [
        dict(label=name, shape_type='point', points=[[px, py]], group_id=1)
        for name, (px, py, seen) in POINTS.items()
        if seen
    ]
    corners = [[x, y], [x + w, y + h]]
    shapes.append(dict(label='cat', shape_type='rectangle', points=corners, group_id=1))
    (folder / 'a.json').write_text(json.dumps(dict(shapes=shapes, imagePath='a.png')))
    return folder


def label_studio(folder: Path, link: str = 'parentID') -> Path:
    photo(folder / 'images')
    x, y, w, h = BOX
    sides = dict(x=x / 0.4, y=y / 0.2, width=w / 0.4, height=h / 0.2)
    regions: list[dict[str, Any]] = [
        dict(
            dict(id=name, type='keypointlabels'),
            value=dict(x=px / 0.4, y=py / 0.2, width=1, keypointlabels=[name]),
        )
        for name, (px, py, seen) in POINTS.items()
        if seen
    ]
    if link == 'parentID':
        for region in regions:
            region['parentID'] = 'r1'
    elif link == 'relation':
        ids = [region['id'] for region in regions]
        ends = [('r1', ids[0]), (ids[1], 'r1')]
        regions += [dict(type='relation', from_id=a, to_id=b) for a, b in ends]
    value = dict(sides, rectanglelabels=['cat'])
    regions.append(dict(id='r1', type='rectanglelabels', value=value))
    tasks = [dict(data=dict(image='a.png'), annotations=[dict(result=regions)])]
    (folder / 'export.json').write_text(json.dumps(tasks))
    return folder


POINT_WRITERS: dict[str, Callable[[Path], Path]] = dict(
    yolo=yolo, cvat=cvat, labelme=labelme, label_studio=label_studio
)


def content(
    form: str, source: Path, asked: list[str] | None = None
) -> tuple[dict[str, Any], Export]:
    export: Export = import_module(f'mmext.formats.exports.{form}').read(source, 'train')
    tables = point_tables(export, asked)
    return coco_content(export, export.photos, class_names(export), source, tables), export


@pytest.mark.parametrize('form', POINT_WRITERS)
def test_each_tool_says_the_same_points(form: str, tmp_path: Path) -> None:
    bare = form in ('labelme', 'label_studio')  # these have neither tables nor visibilities
    found, export = content(form, POINT_WRITERS[form](tmp_path), NAMES if bare else None)
    (category,), (cat,) = found['categories'], found['annotations']
    assert category['name'] == 'cat' and category['keypoints'] == NAMES
    assert category['flip_pairs'] == [['left_ear', 'right_ear']]
    assert category['skeleton'] == ([[1, 2]] if form == 'cvat' else [])
    wanted = [list(point) for point in POINTS.values()]
    if bare:
        wanted[1][2] = 2
    assert np.reshape(cat['keypoints'], (3, 3)).tolist() == [pytest.approx(row) for row in wanted]
    assert cat['num_keypoints'] == 2 and cat['bbox'] == pytest.approx(BOX)
    assert export.left_out == {}


@pytest.mark.parametrize('link', ['parentID', 'relation', 'place'])
def test_whose_a_point_is_in_label_studio(link: str, tmp_path: Path) -> None:
    found, _ = content('label_studio', label_studio(tmp_path, link), NAMES)
    assert found['annotations'][0]['num_keypoints'] == 2


def test_a_point_in_two_boxes_is_left_out(tmp_path: Path) -> None:
    labelme(tmp_path)
    file = tmp_path / 'a.json'
    data = json.loads(file.read_text())
    for shape in data['shapes']:
        shape['group_id'] = None
    data['shapes'].append(dict(label='dog', shape_type='rectangle', points=[[8, 4], [12, 8]]))
    file.write_text(json.dumps(data))
    found, export = content('labelme', tmp_path)
    assert [c.get('keypoints') for c in found['categories']] == [['left_ear'], None]
    assert export.left_out == {'key points of no object, or that lie in several': 1}
    assert 'keypoints' not in found['annotations'][1]


def test_a_photo_with_points_alone(tmp_path: Path) -> None:
    photo(tmp_path)
    places = dict(left=[10, 5], right=[20, 5], chin=[15, 15])
    shapes = [dict(label=k, shape_type='point', points=[xy]) for k, xy in places.items()]
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(dict(shapes=[*shapes, shapes[0]], imagePath='a.png')))
    found, export = content('labelme', tmp_path)
    (face,) = found['annotations']
    assert found['categories'][0]['name'] == 'object' and face['bbox'] == [10, 5, 10, 10]
    assert found['categories'][0]['keypoints'] == ['chin', 'left', 'right']
    assert face['num_keypoints'] == 3 and face['keypoints'][:3] == [15, 15, 2]
    assert export.left_out == {"second points 'left' of an object": 1}


def test_without_a_table_names_are_sorted_as_people_count() -> None:
    from mmext.formats.exports.labeled import LabeledObject, LabeledPhoto, LabeledPoint

    points = {name: LabeledPoint(1, 1) for name in ('10', '2', 'b10', 'b9')}
    export = Export([LabeledPhoto(Path('x'), (9, 9), [LabeledObject('a', BOX, points=points)])])
    assert point_tables(export)['a'].names == ('2', '10', 'b9', 'b10')
    with pytest.raises(InputError, match=r"points of a: .*\['10', 'b9', 'b10'\] too"):
        point_tables(export, ['2'])


def test_points_outside_of_the_photo_are_not_labeled(tmp_path: Path) -> None:
    labelme(tmp_path)
    file = tmp_path / 'a.json'
    file.write_text(file.read_text().replace('[[10.0, 5.0]]', '[[10.0, 20.5]]'))
    found, export = content('labelme', tmp_path, NAMES)
    assert found['annotations'][0]['keypoints'][:3] == [0, 0, 0]
    assert export.left_out == {'key points outside of their photo': 1}


def test_yolo_without_visibilities_and_names(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / 'data.yaml').write_text('train: images\nnames: [cat]\nkpt_shape: [2, 2]\n')
    (tmp_path / 'labels/a.txt').write_text('0 .5 .5 .4 .4 .25 .5 0 0\n0 .5 .5 .2 .2\n')
    found, _ = content('yolo', tmp_path)
    first, second = found['annotations']
    assert first['keypoints'] == [10, 10, 2, 0, 0, 0] and second['keypoints'] == [0] * 6
    assert found['categories'][0]['keypoints'] == ['1', '2']


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('kpt_shape: [3, 4]', 'kpt_shape: expected'),
        ('kpt_shape: 3', 'kpt_shape: expected'),
        ('kpt_shape: [3, 3]\nflip_idx: [0, 1]', 'flip_idx: expected each of 0 to 2 once'),
        ('kpt_shape: [3, 3]\nkpt_names: {0: [a, b]}', 'kpt_names of cat: expected 3 names'),
        ('kpt_shape: [2, 3]', r'a\.txt:1: expected x y width height and 2 key points'),
    ],
)
def test_wrong_tables_of_yolo(line: str, message: str, tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / 'data.yaml').write_text(f'train: images\nnames: [cat]\n{line}\n')
    with pytest.raises(InputError, match=message):
        content('yolo', tmp_path)


def packed(mask: npt.NDArray[np.bool_], longest_literal: int = 3) -> list[int]:
    """Label Studio's bytes of a mask, by a plain loop: runs of one value, the rest as it is."""
    rgba = np.repeat(mask.reshape(-1, 1) * 255, 4, axis=1).reshape(-1)
    sizes = (2, 4, 8, 16)
    text = f'{len(rgba):032b}{7:05b}' + ''.join(f'{size - 1:04b}' for size in sizes)
    place = 0
    while place < len(rgba):
        end = place
        while end < len(rgba) and rgba[end] == rgba[place] and end - place < 2**16:
            end += 1
        is_run = end - place > longest_literal
        end = end if is_run else min(place + longest_literal, len(rgba))
        index = next(i for i, size in enumerate(sizes) if end - place <= 2**size)
        text += f'{int(is_run)}{index:02b}{end - place - 1:0{sizes[index]}b}'
        values = rgba[place : place + 1] if is_run else rgba[place:end]
        text += ''.join(f'{value:08b}' for value in values)
        place = end
    text += '0' * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


def painted_in_cvat(folder: Path) -> Path:
    photo(folder / 'images')
    rows = painted()[3:13, 5:30].ravel()
    ends = [0, *(np.flatnonzero(np.diff(rows)) + 1), rows.size]
    runs = ([0] if rows[0] else []) + np.diff(ends).tolist()
    (folder / 'annotations.xml').write_text(
        f'<annotations><image name="a.png"><mask label="cat" rle="{", ".join(map(str, runs))}" '
        'left="5" top="3" width="25" height="10"/></image></annotations>'
    )
    return folder


def painted_in_label_studio(folder: Path) -> Path:
    photo(folder / 'images')
    value = dict(format='rle', rle=packed(painted()), brushlabels=['cat'])
    tasks = [dict(data=dict(image='a.png'), annotations=[
        dict(result=[dict(id='x', type='brushlabels', value=value)])])]  # fmt: skip
    (folder / 'export.json').write_text(json.dumps(tasks))
    return folder


def painted_in_labelme(folder: Path) -> Path:
    photo(folder)
    png = io.BytesIO()
    Image.fromarray(painted()[3:13, 5:30]).save(png, 'png')
    shape = dict(label='cat', shape_type='mask', points=[[5.0, 3.0], [29.0, 12.0]])
    shape['mask'] = base64.b64encode(png.getvalue()).decode()
    (folder / 'a.json').write_text(json.dumps(dict(shapes=[shape], imagePath='a.png')))
    return folder


PAINTERS: dict[str, Callable[[Path], Path]] = dict(
    cvat=painted_in_cvat, label_studio=painted_in_label_studio, labelme=painted_in_labelme
)


@pytest.mark.parametrize('form', PAINTERS)
def test_each_tool_says_the_same_pixels(form: str, tmp_path: Path) -> None:
    found, export = content(form, PAINTERS[form](tmp_path))
    (cat,) = json.loads(json.dumps(found))['annotations']
    assert np.array_equal(run_lengths.decode(cat['segmentation']), painted())
    assert cat['bbox'] == [5, 3, 24, 10] and cat['area'] == painted().sum()
    assert cat['iscrowd'] == 0 and export.left_out == {}


def test_the_mask_of_a_documentation() -> None:
    # a disk of CVAT's manual, "CVAT for images"
    text = '3, 5, 7, 7, 5, 9, 3, 11, 2, 11, 2, 12, 1, 12, 1, 26, 1, 12, 1, 12, 2, 11, 3, 9, 5, 7, 7, 5, 3'  # noqa: E501
    mask = mask_of_rows([int(run) for run in text.split(',')], (13, 15))
    assert mask[0].tolist() == [False] * 3 + [True] * 5 + [False] * 5
    assert mask.any(axis=0).all() and mask.any(axis=1).all()


def test_masks_are_cut_at_the_border_of_the_photo(tmp_path: Path) -> None:
    painted_in_cvat(tmp_path)
    file = tmp_path / 'annotations.xml'
    file.write_text(file.read_text().replace('left="5" top="3"', 'left="-4" top="15"'))
    found, export = content('cvat', tmp_path)
    (cat,) = found['annotations']
    mask = run_lengths.decode(cat['segmentation'])
    assert np.array_equal(mask[15:, :21], painted()[3:8, 9:30]) and mask.sum() == cat['area']
    file.write_text(file.read_text().replace('left="-4"', 'left="40"'))
    found, export = content('cvat', tmp_path)
    assert found['annotations'] == []
    assert list(export.left_out.values()) == [1]


def test_parts_of_a_group_in_labelme_are_one_mask(tmp_path: Path) -> None:
    painted_in_labelme(tmp_path)
    file = tmp_path / 'a.json'
    data = json.loads(file.read_text())
    data['shapes'].append(dict(label='cat', points=[[30, 10], [38, 10], [38, 18], [30, 18]]))
    for shape in data['shapes']:
        shape['group_id'] = 1
    file.write_text(json.dumps(data))
    (cat,) = content('labelme', tmp_path)[0]['annotations']
    both = painted()
    both[10:18, 30:38] = True
    assert np.array_equal(run_lengths.decode(cat['segmentation']), both)
    assert cat['area'] == both.sum() and cat['bbox'] == [5, 3, 33, 15]


@pytest.mark.parametrize('literal', [0, 1, 3, 9])
def test_brush_bytes_of_random_masks(literal: int) -> None:
    rng = np.random.default_rng(literal)
    for width, height in ((1, 1), (7, 3), (33, 20)):
        mask = rng.random((height, width)) < 0.3
        found = mask_of_brush(bytes(packed(mask, max(literal, 1))), (width, height))
        assert np.array_equal(found, mask)


def spoiled_brush(data: list[int]) -> dict[str, list[int]]:
    return dict(cut=data[: len(data) // 2], empty=[], size=[0, 0, 0, 4, *data[4:]])


@pytest.mark.parametrize('how', ['cut', 'empty', 'size'])
def test_spoiled_brush_bytes_name_their_file(how: str, tmp_path: Path) -> None:
    painted_in_label_studio(tmp_path)
    file = tmp_path / 'export.json'
    tasks = json.loads(file.read_text())
    value = tasks[0]['annotations'][0]['result'][0]['value']
    value['rle'] = spoiled_brush(value['rle'])[how]
    file.write_text(json.dumps(tasks))
    with pytest.raises(InputError, match=str(file)):
        content('label_studio', tmp_path)


@pytest.mark.parametrize(
    ('form', 'file', 'before', 'after'),
    [
        ('cvat', 'annotations.xml', 'width="25"', 'width="26"'),
        ('cvat', 'annotations.xml', 'width="25"', 'width="2500000"'),
        ('cvat', 'annotations.xml', 'rle="', 'rle="-1, '),
        ('labelme', 'a.json', '"mask": "', '"mask": "!'),
        ('labelme', 'a.json', '"mask": "', '"nomask": "'),
    ],
)
def test_spoiled_masks_name_their_file(
    form: str, file: str, before: str, after: str, tmp_path: Path
) -> None:
    PAINTERS[form](tmp_path)
    text = (tmp_path / file).read_text()
    assert before in text
    (tmp_path / file).write_text(text.replace(before, after))
    with pytest.raises(InputError, match=str(tmp_path / file)):
        content(form, tmp_path)


def test_points_of_cvat_without_a_skeleton(tmp_path: Path) -> None:
    photo(tmp_path / 'images')
    (tmp_path / 'annotations.xml').write_text(
        '<annotations><image name="a.png"><box label="face" xtl="2" ytl="2" xbr="12" ybr="12" '
        'group_id="4"/><points label="nose" points="6,7" group_id="4"/>'
        '<points label="chin" points="6,11"/><points label="hand" points="20,3;30,9;25,5"/>'
        '</image></annotations>'
    )
    found, export = content('cvat', tmp_path)
    face, hand = found['annotations']
    assert face['keypoints'] == [6, 11, 2, 6, 7, 2] and hand['bbox'] == [20, 3, 10, 6]
    assert [c['keypoints'] for c in found['categories']] == [['chin', 'nose'], ['1', '2', '3']]
    assert export.left_out == {}
