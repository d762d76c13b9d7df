"""tools/prepare_data.py coco: what is wrong is found and explained, what is missing fetched."""

import importlib.util
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from mmext.cli.prepare.coco_check import Finding, check_split
from mmext.errors import run_tool
from mmext.formats.panoptic_files import decode_id_png, encode_id_png

TOOL = Path(__file__).parents[3] / 'tools' / 'prepare_data.py'
Json = dict[str, Any]
Prepare = Callable[..., int]


@pytest.fixture
def prepare(capsys: pytest.CaptureFixture[str]) -> Prepare:
    """Run the program; returns its exit code."""
    spec = importlib.util.spec_from_file_location('mmext_tool_prepare_data', TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: run_tool(module.main, ['coco', *map(str, arguments)])


def found(root: Path, split: str = 'train', decode: int = 100) -> dict[str, Finding]:
    return {finding.piece: finding for finding in check_split(root, split, decode)}


def change(path: Path, edit: Callable[[Json], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_a_consistent_set_is_ok(coco: Path, prepare: Prepare) -> None:
    findings = found(coco)
    assert {f.state for f in findings.values()} == {'ok'}
    assert findings['train2017'].text == (
        '6 photos of the right size, a part of the 118287 of COCO'
    )
    assert findings['annotations/panoptic_train2017'].text == '6 PNGs, 6 compared by pixel'
    assert findings['annotations/panoptic_train2017.json'].text == (
        '6 images, 6 annotations, 2 categories (COCO has 133)'
    )
    assert prepare('--root', coco) == 0


@pytest.mark.parametrize(
    ('piece', 'text'),
    [
        ('train2017', 'it is train2017.zip'),
        ('annotations/panoptic_train2017', 'panoptic_train2017.zip inside panoptic_annotations_'),
        ('annotations/panoptic_train2017.json', 'it is in panoptic_annotations_trainval2017.zip'),
        ('annotations/instances_train2017.json', 'it is in annotations_trainval2017.zip'),
    ],
)
def test_says_what_is_missing(
    piece: str, text: str, coco: Path, prepare: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    path = coco / piece
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    finding = found(coco)[piece]
    assert finding.state == 'missing'
    assert text in finding.text and f'looked for {path}' in finding.text
    assert '--download' in finding.text
    assert prepare('--root', coco) == 2
    printed = capsys.readouterr()
    assert f'missing  {piece} – not there' in printed.out
    assert 'pieces are missing or broken' in printed.err


def test_keypoints_are_for_pose_only(coco: Path, prepare: Prepare) -> None:
    (coco / 'annotations/person_keypoints_train2017.json').unlink()
    finding = found(coco)['annotations/person_keypoints_train2017.json']
    assert finding.state == 'absent' and 'only pose models need it' in finding.text
    assert prepare('--root', coco) == 0


def break_photo(root: Path) -> None:
    (root / 'train2017/000000000002.jpg').write_bytes(b'<html>')
    cv2.imwrite(str(root / 'train2017/000000000003.jpg'), np.zeros((5, 7, 3), np.uint8))


def remove_photo(root: Path) -> None:
    (root / 'train2017/000000000002.jpg').unlink()


def map_of(root: Path, number: int) -> Path:
    return root / f'annotations/panoptic_train2017/{number:012d}.png'


def repaint(root: Path, edit: Callable[[np.ndarray], object]) -> None:
    path = map_of(root, 2)
    ids = decode_id_png(path.read_bytes(), path.name)
    edit(ids)
    path.write_bytes(encode_id_png(ids))


def instances(edit: Callable[[Json], object]) -> Callable[[Path], None]:
    return lambda root: change(root / 'annotations/instances_train2017.json', edit)


def panoptic(edit: Callable[[Json], object]) -> Callable[[Path], None]:
    return lambda root: change(root / 'annotations/panoptic_train2017.json', edit)


INSTANCES = 'annotations/instances_train2017.json'
PANOPTIC = 'annotations/panoptic_train2017.json'
MAPS = 'annotations/panoptic_train2017'


@pytest.mark.parametrize(
    ('breaks', 'piece', 'text'),
    [
        (break_photo, 'train2017', '000000000002.jpg: no picture, expected 32x20'),
        (break_photo, 'train2017', '000000000003.jpg: 7x5, expected 33x20'),
        (remove_photo, 'train2017', '1 photos of the annotations are missing (000000000002.jpg)'),
        (lambda root: map_of(root, 2).unlink(), MAPS, '1 PNGs of the JSON are not there'),
        (lambda root: map_of(root, 2).write_bytes(b''), MAPS, 'not a readable PNG'),
        (
            lambda root: shutil.copy(map_of(root, 4), map_of(root, 2)),
            MAPS,
            'ids without an entry in segments_info: 70004',
        ),
        (lambda root: repaint(root, lambda ids: ids[:1].fill(0)), MAPS, 'areas of segments 70002'),
        (
            panoptic(lambda c: c['images'][1].update(width=50)),
            MAPS,
            '000000000002.png: 32x20, expected 50x20',
        ),
        (
            panoptic(lambda c: c['annotations'].pop()),
            PANOPTIC,
            '1 images without annotation (6)',
        ),
        (
            panoptic(lambda c: c['annotations'][0]['segments_info'][0].update(category_id=3)),
            PANOPTIC,
            'category_id 3 of segment 70001 in the annotation of image 1 is not in its categories',
        ),
        (
            instances(lambda c: c['annotations'][0].update(image_id=77)),
            INSTANCES,
            '1 of images that the file does not list (first: annotation 100 of image 77)',
        ),
        (
            instances(lambda c: c['annotations'][0].update(bbox=[0, 0, 99, 3])),
            INSTANCES,
            '1 boxes reach out of their image ([0.0, 0.0, 99.0, 3.0] of image 1)',
        ),
        (
            instances(lambda c: c['annotations'][0].update(id=200)),
            INSTANCES,
            '1 annotation ids are used twice',
        ),
        (
            instances(lambda c: c['images'].append(c['images'][0])),
            INSTANCES,
            'image id 1 is used twice',
        ),
        (instances(lambda c: c.pop('images')), INSTANCES, "no COCO file, it has no 'images'"),
        (lambda root: (root / INSTANCES).write_text('{'), INSTANCES, 'is cut off: '),
    ],
)
def test_finds_what_is_wrong(
    breaks: Callable[[Path], object], piece: str, text: str, coco: Path
) -> None:
    breaks(coco)
    findings = found(coco)
    assert findings[piece].state in ('broken', 'missing')
    assert text in findings[piece].text
    assert {f.state for f in found(coco, 'val').values()} == {'ok'}


def test_a_subset_is_consistent(coco: Path, prepare: Prepare, tmp_path: Path) -> None:
    out = tmp_path / 'small'
    assert prepare('--root', coco, '--subset', 4, '--out', out) == 0
    for split, expected in (('train', {1, 2, 4, 5}), ('val', {1, 2, 3})):
        names = {f'{number:012d}' for number in expected}
        assert {path.stem for path in (out / f'{split}2017').iterdir()} == names
        maps = out / 'annotations' / f'panoptic_{split}2017'
        assert {path.stem for path in maps.iterdir()} == names
        for kind in ('instances', 'panoptic', 'person_keypoints'):
            name = f'annotations/{kind}_{split}2017.json'
            small, whole = (json.loads((root / name).read_text()) for root in (out, coco))
            assert small['categories'] == whole['categories']
            assert small['images'] == [i for i in whole['images'] if i['id'] in expected]
            assert small['annotations'] == [
                a for a in whole['annotations'] if a['image_id'] in expected
            ]
        assert {f.state for f in found(out, split).values()} == {'ok'}
    photo = 'train2017/000000000004.jpg'
    assert (out / photo).read_bytes() == (coco / photo).read_bytes()


def test_a_subset_of_what_there_is(coco: Path, prepare: Prepare, tmp_path: Path) -> None:
    for name in ('panoptic', 'person_keypoints'):
        (coco / f'annotations/{name}_val2017.json').unlink()
    shutil.rmtree(coco / 'train2017')
    out = tmp_path / 'small'
    assert prepare('--root', coco, '--splits', 'val', '--subset', 2, '--out', out) == 0
    assert [path.name for path in (out / 'annotations').iterdir()] == ['instances_val2017.json']


def archive(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, 'w') as content:
        for name, data_of_file in files.items():
            content.writestr(name, data_of_file)
    return data.getvalue()


def published(coco: Path) -> dict[str, bytes]:
    """The archives as COCO's server has them: the panoptic one has archives inside."""
    files = {
        path.relative_to(coco).as_posix(): path.read_bytes()
        for path in coco.rglob('*')
        if path.is_file()
    }
    panoptic = {k: v for k, v in files.items() if k.startswith('annotations/panoptic')}
    inner: dict[str, bytes] = {k: v for k, v in panoptic.items() if k.endswith('.json')}
    for split in ('train', 'val'):
        folder = f'annotations/panoptic_{split}2017'
        maps = {
            k.removeprefix('annotations/'): v
            for k, v in panoptic.items()
            if k.startswith(f'{folder}/')
        }
        inner[f'{folder}.zip'] = archive(maps)
    return {
        **{
            f'zips/{s}2017.zip': archive(
                {k: v for k, v in files.items() if k.startswith(f'{s}2017/')}
            )
            for s in ('train', 'val')
        },
        'annotations/panoptic_annotations_trainval2017.zip': archive(inner),
        'annotations/annotations_trainval2017.zip': archive(
            {k: v for k, v in files.items() if '/instances' in k or '/person' in k}
        ),
    }


def test_downloads_what_is_missing(
    coco: Path, server: Any, prepare: Prepare, tmp_path: Path
) -> None:
    server.files = published(coco)
    server.breaks = [500, 700]
    out = tmp_path / 'fetched'
    assert prepare('--root', out, '--download', '--url', server.url) == 0
    expected = {p.relative_to(coco): p.read_bytes() for p in coco.rglob('*') if p.is_file()}
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob('*') if p.is_file()} == expected
    server.requests.clear()
    (out / 'val2017/000000000002.jpg').unlink()
    (out / 'train2017/000000000002.jpg').touch()
    assert prepare('--root', out, '--download', '--url', server.url) == 0
    assert {path for _, path, _ in server.requests} == {'/zips/val2017.zip'}


def test_a_wrong_checksum_stops_it(
    coco: Path,
    server: Any,
    prepare: Prepare,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.files = published(coco)
    shutil.rmtree(coco / 'val2017')
    sums = tmp_path / 'sums'
    sums.write_text(f'{"0" * 32}  val2017.zip\n')
    arguments = ('--root', coco, '--download', '--url', server.url, '--checksums', sums)
    assert prepare(*arguments) == 2
    assert 'val2017.zip: md5 ' in capsys.readouterr().err
    assert not (coco / 'val2017').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--root', 'gone'], 'no such folder'),
        (['--subset', '3'], '--subset N and --out DIR belong together'),
        (['--subset', '0', '--out', 'x'], '--subset: expected 1 or more, got 0'),
        (['--root', '{coco}', '--subset', '1', '--out', '{coco}'], 'is there already'),
        (['--root', '{coco}/val2017', '--subset', '1', '--out', 'x'], 'no annotations of train'),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    coco: Path,
    prepare: Prepare,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prepare(*[argument.format(coco=coco) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def into_folders(root: Path) -> None:
    """Photos and PNGs in folders of their own, and the files say so."""
    for place in ('val2017', 'annotations/panoptic_val2017'):
        files = [path for path in (root / place).iterdir() if path.is_file()]
        (root / place / 'a/b').mkdir(parents=True)
        for path in files:
            path.rename(root / place / 'a/b' / path.name)

    def rename(content: Json) -> None:
        for item in (*content['images'], *content['annotations']):
            if 'file_name' in item:
                item['file_name'] = 'a\\b/' + item['file_name']

    for kind in ('panoptic', 'instances', 'person_keypoints'):
        change(root / f'annotations/{kind}_val2017.json', rename)


def test_photos_in_folders_are_found_and_copied(
    coco: Path, prepare: Prepare, tmp_path: Path
) -> None:
    into_folders(coco)
    assert {f.state for f in found(coco, 'val').values()} == {'ok'}
    out = tmp_path / 'small'
    assert prepare('--root', coco, '--splits', 'val', '--subset', 2, '--out', out) == 0
    copied = sorted(p.relative_to(out).as_posix() for p in (out / 'val2017').rglob('*.jpg'))
    assert copied == ['val2017/a/b/000000000001.jpg', 'val2017/a/b/000000000002.jpg']


@pytest.mark.parametrize('name', ['../../escaped.jpg', '{tmp}/escaped.jpg', 'a\\..\\..\\b.jpg'])
@pytest.mark.parametrize('kind', ['images', 'annotations'])
def test_a_subset_stays_in_its_folder(
    name: str,
    kind: str,
    coco: Path,
    prepare: Prepare,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = name.format(tmp=tmp_path)
    panoptic(lambda c: c[kind][0].update(file_name=name))(coco)
    before = set(tmp_path.rglob('*'))
    (coco.parent / 'escaped.jpg').write_bytes(b'a photo')
    if kind == 'images':  # all files name the photo; the first that does is asked
        instances(lambda c: c['images'][0].update(file_name=name))(coco)
    arguments = ('--splits', 'train', '--subset', 2, '--out', tmp_path / 'small')
    assert prepare('--root', coco, *arguments) == 2
    error = capsys.readouterr().err
    assert 'outside of the folder' in error and error.count('\n') == 1
    assert set(tmp_path.rglob('*')) == before | {coco.parent / 'escaped.jpg'}


def test_corners_in_place_of_sizes_are_found(coco: Path) -> None:
    def to_corners(content: Json) -> None:
        for annotation in content['annotations']:
            for item in annotation.get('segments_info', [annotation]):
                x, y, w, h = item['bbox']
                item['bbox'] = [x, y, x + w, y + h]

    def move_down(content: Json) -> None:
        """Away from the corner, where both forms are the same; with a mask."""
        for annotation in content['annotations']:
            annotation['bbox'] = [12, 8, 6, 5]
            annotation['segmentation'] = [[12, 8, 18, 8, 18, 13, 12, 13]]

    instances(move_down)(coco)
    assert found(coco)[INSTANCES].state == 'ok'
    instances(to_corners)(coco)
    finding = found(coco)[INSTANCES]
    assert finding.state == 'broken' and 'read as corners' in finding.text


@pytest.mark.parametrize('key', ['area', 'iscrowd', 'id'])
def test_what_can_be_left_out(key: str, coco: Path) -> None:
    instances(lambda c: [a.pop(key) for a in c['annotations']])(coco)
    if key != 'id':
        panoptic(lambda c: [s.pop(key) for a in c['annotations'] for s in a['segments_info']])(coco)
    assert {f.state for f in found(coco).values()} == {'ok'}


def test_no_box_and_a_huge_photo(coco: Path) -> None:
    instances(lambda c: c['annotations'][1].pop('bbox'))(coco)
    Image.new('1', (20_000, 15_000)).save(coco / 'train2017/000000000001.jpg', format='PNG')
    findings = found(coco)
    assert '1 without bbox (first: annotation 200 of image 2)' in findings[INSTANCES].text
    assert '000000000001.jpg: 20000x15000, expected 31x20' in findings['train2017'].text
