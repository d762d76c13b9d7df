"""One truth, as five tools write it, read back as the same COCO file; and what they write wrong."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from PIL import Image

from mmext.errors import InputError
from mmext.formats.exports.coco_content import class_names, coco_content
from mmext.formats.exports.labeled import Export

WIDTH, HEIGHT = 80, 40
BOX = (10.0, 5.0, 20.0, 10.0)  # of a dog, x y w h
TRIANGLE = [40.0, 10.0, 60.0, 10.0, 40.0, 30.0]  # a cat
CLASSES = ('cat', 'dog')
OTHERS = ('labelme', 'cvat', 'label_studio', 'yolo')


def photo(path: Path, size_wh: tuple[int, int] = (WIDTH, HEIGHT), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((size_wh[1], size_wh[0], 3), np.uint8)).save(path, **options)
    return path


def write_yolo(folder: Path) -> Path:
    photo(folder / 'train/images/a b.jpg')
    photo(folder / 'train/images/empty.jpg')
    labels = folder / 'train/labels'
    labels.mkdir()
    x, y, w, h = BOX
    box = [(x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT]
    outline = [value / (WIDTH, HEIGHT)[i % 2] for i, value in enumerate(TRIANGLE)]
    rows = [' '.join(map(str, row)) for row in ([1, *box], [0, *outline])]
    (labels / 'a b.txt').write_text('\ufeff' + '\r\n'.join(rows) + '\r\n', 'utf-8')
    (labels / 'empty.txt').write_text('')
    (folder / 'data.yaml').write_text('train: ../train/images\nnames: {0: cat, 1: dog}\n')
    return folder


def write_voc(folder: Path) -> Path:
    photo(folder / 'JPEGImages/a b.jpg')
    photo(folder / 'JPEGImages/empty.jpg')
    x, y, w, h = BOX
    ends = dict(xmin=x + 1, ymin=y + 1, xmax=x + w, ymax=y + h)
    box = ''.join(f'<{key}>{value:g}</{key}>' for key, value in ends.items())
    objects = f'<object><name>dog</name><difficult>0</difficult><bndbox>{box}</bndbox></object>'
    (folder / 'Annotations').mkdir()
    for name, content in (('a b', objects), ('empty', '')):
        (folder / f'Annotations/{name}.xml').write_text(
            f'<annotation><filename>{name}.jpg</filename>{content}</annotation>'
        )
    return folder


def write_labelme(folder: Path) -> Path:
    x, y, w, h = BOX
    corners = np.reshape(TRIANGLE, (-1, 2)).tolist()
    shapes = [
        dict(label='dog', shape_type='rectangle', points=[[x + w, y], [x, y + h]], group_id=None),
        dict(label='cat', shape_type='polygon', points=corners),
    ]
    for name, content in (('a b', shapes), ('empty', [])):
        photo(folder / f'{name}.jpg')
        data = dict(version='5', shapes=content, imagePath=f'..\\photos\\{name}.jpg')
        (folder / f'{name}.json').write_text(json.dumps(data), 'utf-8')
    return folder


def write_cvat(folder: Path) -> Path:
    photo(folder / 'images/sub/a b.jpg')
    photo(folder / 'images/sub/empty.jpg')
    x, y, w, h = BOX
    ends = dict(xtl=x, ytl=y, xbr=x + w, ybr=y + h)
    box = ' '.join(f'{key}={quoteattr(str(value))}' for key, value in ends.items())
    points = ';'.join(f'{x},{y}' for x, y in np.reshape(TRIANGLE, (-1, 2)))
    (folder / 'annotations.xml').write_text(
        '<annotations><version>1.1</version>'
        f'<image id="0" name="sub/a b.jpg" width="{WIDTH}" height="{HEIGHT}">'
        f'<box label="dog" occluded="0" {box}><attribute name="x">y</attribute></box>'
        f'<polygon label="cat" points="{points}"/></image>'
        '<image id="1" name="sub/empty.jpg"/></annotations>'
    )
    return folder


def write_label_studio(folder: Path) -> Path:
    photo(folder / 'images/a b.jpg')
    photo(folder / 'images/empty.jpg')
    x, y, w, h = BOX
    sides = dict(x=x / 0.8, y=y / 0.4, width=w / 0.8, height=h / 0.4, rotation=0)
    corners = [[x / 0.8, y / 0.4] for x, y in np.reshape(TRIANGLE, (-1, 2)).tolist()]
    regions = [
        dict(type='rectanglelabels', value=dict(sides, rectanglelabels=['dog'])),
        dict(type='polygonlabels', value=dict(points=corners, polygonlabels=['cat'])),
        dict(type='choices', value=dict(choices=['sunny'])),
    ]
    tasks = [
        dict(data=dict(image='/data/upload/1/1a2b3c4d-a%20b.jpg'), annotations=[
            dict(was_cancelled=True, result=[]), dict(result=regions)]),
        dict(data=dict(image='/data/local-files/?d=photos/empty.jpg'), annotations=[]),
    ]  # fmt: skip
    (folder / 'export.json').write_text(json.dumps(tasks))
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    'yolo': write_yolo,
    'voc': write_voc,
    'labelme': write_labelme,
    'cvat': write_cvat,
    'label_studio': write_label_studio,
}


def read(form: str, source: Path, **options: Any) -> Export:
    export: Export = import_module(f'mmext.formats.exports.{form}').read(source, 'train', **options)
    return export


def content(export: Export, root: Path) -> dict[str, Any]:
    return coco_content(export, export.photos, class_names(export), root)


@pytest.mark.parametrize('form', WRITERS)
def test_each_tool_says_the_same(form: str, tmp_path: Path) -> None:
    export = read(form, WRITERS[form](tmp_path))
    assert [p.path.name for p in export.photos] == ['a b.jpg', 'empty.jpg']
    assert export.left_out == {}
    found = content(export, tmp_path)
    names = {c['id']: c['name'] for c in found['categories']}
    assert [(i['width'], i['height']) for i in found['images']] == [(WIDTH, HEIGHT)] * 2
    assert (tmp_path / found['images'][0]['file_name']).is_file()
    dog, *cats = found['annotations']
    assert names[dog['category_id']] == 'dog' and dog['image_id'] == 1
    assert dog['bbox'] == pytest.approx(BOX) and dog['area'] == pytest.approx(200)
    assert len(cats) == (form != 'voc')
    for cat in cats:
        assert names[cat['category_id']] == 'cat' and cat['bbox'] == pytest.approx([40, 10, 20, 20])
        assert cat['segmentation'][0] == pytest.approx(TRIANGLE)
        assert cat['area'] == pytest.approx(200)  # half of 20 x 20


def test_the_order_of_the_classes_is_that_of_the_table(tmp_path: Path) -> None:
    assert read('yolo', write_yolo(tmp_path)).classes == CLASSES
    export = read('labelme', write_labelme(tmp_path / 'labelme'))
    assert class_names(export) == CLASSES and class_names(export, ['dog', 'cat']) == ('dog', 'cat')
    with pytest.raises(InputError, match=r"has \['dog'\] too"):
        class_names(export, ['cat'])


def test_objects_are_cut_at_the_border_of_the_photo(tmp_path: Path) -> None:
    write_cvat(tmp_path)
    file = tmp_path / 'annotations.xml'
    text = file.read_text().replace('xtl="10.0"', 'xtl="-10"')
    file.write_text(text.replace('points="40.0', 'points="140').replace(';60.0', ';160').replace(
        ';40.0,30.0', ';140,30'))  # fmt: skip
    export = read('cvat', tmp_path)
    (dog,) = content(export, tmp_path)['annotations']
    assert dog['bbox'] == [0, 5, 30, 10]
    assert export.left_out == {'objects outside of their photo, or without a size': 1}


def test_parts_of_a_group_are_one_object(tmp_path: Path) -> None:
    photo(tmp_path / 'x.jpg')
    halves = [[[0, 0], [10, 0], [0, 10]], [[20, 20], [30, 20], [20, 30]]]
    shapes = [dict(label='cat', points=half, group_id=3) for half in halves]
    shapes.append(dict(label='cat', shape_type='line', points=[[1, 1], [2, 2]]))
    shapes.append(dict(label='dog', shape_type='circle', points=[[20, 20], [30, 20]]))
    (tmp_path / 'x.json').write_text(json.dumps(dict(shapes=shapes, imagePath='x.jpg')))
    export = read('labelme', tmp_path)
    cat, dog = content(export, tmp_path)['annotations']
    assert cat['bbox'] == [0, 0, 30, 30] and len(cat['segmentation']) == 2 and cat['area'] == 100
    assert dog['area'] == pytest.approx(np.pi * 100, rel=0.01)
    assert export.left_out == {'shapes of the kind line': 1}


def test_a_turned_phone_photo_has_the_size_that_is_shown(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / 'train/images/a b.jpg', (HEIGHT, WIDTH), exif=exif)
    assert read('yolo', tmp_path).photos[0].size_wh == (WIDTH, HEIGHT)


def test_difficult_objects_are_ignored(tmp_path: Path) -> None:
    write_voc(tmp_path)
    file = tmp_path / 'Annotations/a b.xml'
    file.write_text(file.read_text().replace('<difficult>0', '<difficult>1'))
    (dog,) = content(read('voc', tmp_path), tmp_path)['annotations']
    assert dog['iscrowd'] == 1


def test_only_the_photos_of_a_split(tmp_path: Path) -> None:
    write_voc(tmp_path)
    lists = tmp_path / 'ImageSets/Main'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('a b\n'.replace(' ', '_') + 'empty\n')
    assert [p.path.stem for p in read('voc', tmp_path).photos] == ['empty']


def spoil(form: str, folder: Path) -> Path:
    """Write an export, then something wrong into it."""
    WRITERS[form](folder)
    file, before, after = {
        'yolo': ('train/labels/a b.txt', '1 ', '7 '),
        'voc': ('Annotations/a b.xml', '<xmin>11', '<xmin>left'),
        'labelme': ('a b.json', '[40.0, 10.0]', '[40.0]'),
        'cvat': ('annotations.xml', 'xtl="10.0"', 'xtl="ten"'),
        'label_studio': ('export.json', '"width"', '"widht"'),
    }[form]
    text = (folder / file).read_text('utf-8')
    assert before in text
    (folder / file).write_text(text.replace(before, after), 'utf-8')
    return folder / file


@pytest.mark.parametrize('form', WRITERS)
def test_a_wrong_value_names_its_file(form: str, tmp_path: Path) -> None:
    file = spoil(form, tmp_path)
    with pytest.raises(InputError, match=str(file)):
        read(form, tmp_path)


@pytest.mark.parametrize('form', WRITERS)
def test_an_empty_folder(form: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        read(form, tmp_path)


@pytest.mark.parametrize('form', ['voc', 'cvat', 'label_studio'])
def test_photos_that_are_not_there_are_counted(form: str, tmp_path: Path) -> None:
    WRITERS[form](tmp_path)
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    photo(elsewhere / 'empty.jpg')
    export = read(form, tmp_path, photos=elsewhere)
    assert [p.path.name for p in export.photos] == ['empty.jpg']
    assert list(export.left_out.values()) == [1]


def test_tracks_of_a_video_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'annotations.xml').write_text('<annotations><track id="0"/></annotations>')
    with pytest.raises(InputError, match='tracks of a video'):
        read('cvat', tmp_path)
