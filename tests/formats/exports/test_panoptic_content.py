"""Outlines as panoptic files: each pixel has one owner."""

from pathlib import Path

import numpy as np
import pytest

from mmext.errors import InputError
from mmext.formats.exports.labeled import Export, LabeledObject, LabeledPhoto
from mmext.formats.exports.panoptic_content import panoptic_content
from mmext.formats.panoptic_files import decode_id_png
from mmext.formats.panoptic_records import panoptic_records

CLASSES = ('car', 'sky', 'road')
STUFF = ('sky', 'road')


def rectangle(name: str, left: float, top: float, right: float, bottom: float) -> LabeledObject:
    corners = [left, top, right, top, right, bottom, left, bottom]
    return LabeledObject.of_polygon(name, corners)


def write(folder: Path, *objects: LabeledObject) -> tuple[dict, np.ndarray, Export]:
    photo = LabeledPhoto(folder / 'photos/a.jpg', (40, 20), list(objects))
    export = Export([photo])
    content = panoptic_content(export, [photo], CLASSES, STUFF, folder / 'photos', folder / 'out')
    png = (folder / 'out' / content['annotations'][0]['file_name']).read_bytes()
    return content, decode_id_png(png, 'a'), export


def test_things_lie_over_stuff_and_later_over_earlier(tmp_path: Path) -> None:
    content, ids, export = write(
        tmp_path,
        rectangle('car', 5, 5, 15, 15),
        rectangle('car', 10, 5, 20, 15),
        rectangle('sky', 0, 0, 40, 8),
        rectangle('road', 0, 8, 40, 20),
        rectangle('sky', 30, 8, 40, 10),
    )
    segments = content['annotations'][0]['segments_info']
    by_id = {s['id']: CLASSES[s['category_id'] - 1] for s in segments}
    assert sorted(by_id.values()) == ['car', 'car', 'road', 'sky']
    seen = np.vectorize(lambda i: by_id[i])(ids)
    wanted = np.full((20, 40), 'road')
    wanted[:8], wanted[8:10, 30:], wanted[5:15, 5:20] = 'sky', 'sky', 'car'
    assert (seen == wanted).all()
    assert len(np.unique(ids[5:15, 5:10])) == len(np.unique(ids[5:15, 10:20])) == 1
    assert ids[6, 6] != ids[6, 12] and export.left_out == {}
    for segment in segments:
        rows, columns = np.nonzero(ids == segment['id'])
        assert segment['area'] == len(rows)
        x, y, w, h = segment['bbox']
        assert (x, y) == (columns.min(), rows.min())
        assert (x + w, y + h) == (columns.max() + 1, rows.max() + 1)
    records = panoptic_records(content, 'x')
    assert [c['isthing'] for c in records.categories.values()] == [1, 0, 0]
    assert records.images[1]['file_name'] == 'a.jpg'


def test_what_has_no_pixel_is_counted(tmp_path: Path) -> None:
    covered = rectangle('car', 6, 6, 9, 9)
    content, ids, export = write(
        tmp_path,
        LabeledObject('car', (1, 1, 5, 5)),
        covered,
        rectangle('car', 5, 5, 15, 15),
        rectangle('car', 100, 100, 120, 120),
    )
    assert len(content['annotations'][0]['segments_info']) == 1
    assert (ids > 0).sum() == 100
    assert export.left_out == {
        'objects without an outline': 1,
        'objects of no pixel, or that others cover': 2,
    }


def test_classes_of_stuff_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stuff: \['sea'\] are none of the classes"):
        panoptic_content(Export(), [], CLASSES, ('sea',), tmp_path, tmp_path)
    with pytest.raises(InputError, match='needs things'):
        panoptic_content(Export(), [], CLASSES, CLASSES, tmp_path, tmp_path)
