"""tools/explain.py: real runs on a detector that knows its pictures, and wrong input."""

import csv
import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmext.errors import InputError, run_tool
from mmext.explain.object_index import ObjectIndex

TOOL = Path(__file__).parents[2] / 'tools/explain.py'
Call = Callable[..., None]


@pytest.fixture(scope='session')
def main() -> Callable[[Any], None]:
    spec = importlib.util.spec_from_file_location('mmext_tool_explain', TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[Any], None] = module.main
    return found


@pytest.fixture
def call(main: Callable[[Any], None], learned: Path, tmp_path: Path) -> Call:
    """Runs a command on the learned checkpoint, with results in ``tmp_path / 'out'``."""

    def run(command: str, *words: object, checkpoint: bool = True) -> None:
        named = ['--checkpoint', learned] if checkpoint else []
        main([command, *map(str, words), *map(str, named), '--out', str(tmp_path / 'out')])

    return run


@pytest.fixture(scope='session')
def photos(learned: Path) -> Path:
    return learned.parent / 'data/train2017'


@pytest.fixture(scope='session')
def truth(learned: Path) -> Path:
    return learned.parent / 'data/annotations/instances_train2017.json'


def test_detections_of_a_folder(call: Call, photos: Path, tmp_path: Path) -> None:
    call('detections', photos, '--method', 'odam,rise', '--masks', 8, '--select', 'top:2')
    out = tmp_path / 'out'
    names = sorted(p.stem for p in photos.iterdir())
    rows = list(csv.DictReader((out / 'summary.csv').open()))
    assert {row['image'] for row in rows} <= set(names)
    assert {row['method'] for row in rows} == {'odam', 'rise'}
    assert {row['target'] for row in rows} == {'anchored'}
    name = rows[0]['image']
    with np.load(out / f'{name}.npz') as maps:
        assert maps['relevance'].shape[0] == len(maps['boxes']) == len(maps['method'])
        assert maps['relevance'].dtype == np.float16
        assert np.abs(maps['relevance']).max() == pytest.approx(1, abs=1e-3)
        assert (maps['unit'] > 0).all()
        assert len(str(maps['checkpoint_sha256'])) == 64
    assert (out / f'{name}_sheet.jpg').stat().st_size > 1000
    assert (out / f'{name}_0_odam.jpg').exists()
    page = (out / 'report.html').read_text()
    assert 'src="data:image/jpeg' in page
    links = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?(.{5})', page)
    assert set(links) == {'data:'}, 'a report needs nothing beside it'
    assert 'http' not in page
    assert len(page) < 600_000
    assert '<script' not in page


def test_the_report_in_a_browser(call: Call, photos: Path, tmp_path: Path, browser: Any) -> None:
    photo = sorted(photos.iterdir())[0]
    call('detections', photo, '--method', 'odam,rise', '--masks', 8, '--select', 'top:2')
    text = browser.read_report(tmp_path / 'out/report.html')
    assert f'Why: {photo.name}' in text and 'How to read it' in text and 'rise' in text


def test_a_missed_object_is_explained(
    call: Call, photos: Path, truth: Path, tmp_path: Path
) -> None:
    """A truth that the detector was not told of is not detected: why not?"""
    content = json.loads(truth.read_text())
    image = content['images'][0]
    category = content['categories'][0]
    content['annotations'] = [
        dict(id=1, image_id=image['id'], category_id=category['id'], bbox=[2, 2, 9, 8], area=72,
             iscrowd=0)
    ]  # fmt: skip
    strange = tmp_path / 'strange.json'
    strange.write_text(json.dumps(content))
    photo = photos / image['file_name']
    call('detections', photo, '--select', 'missed', '--truth', strange)
    (row,) = csv.DictReader((tmp_path / 'out/summary.csv').open())
    assert row['class'] == category['name']
    assert float(row['score']) < 0.3
    with np.load(tmp_path / f'out/{row["image"]}.npz') as maps:
        assert maps['missed'].tolist() == [True]
    box = f'box:2,2,11,10,{category["name"]}'
    call('detections', photo, '--target', box)
    (again,) = csv.DictReader((tmp_path / 'out/summary.csv').open())
    assert again['score'] == row['score']


def test_other_numbers_than_the_score(call: Call, photos: Path, tmp_path: Path) -> None:
    photo = sorted(photos.iterdir())[0]
    found = {}
    for target in ('edge:left', 'edge:right', 'score'):
        call('detections', photo, '--target', target, '--select', 'top:1')
        (row,) = csv.DictReader((tmp_path / 'out/summary.csv').open())
        assert row['target'] == ('anchored' if target == 'score' else target)
        with np.load(tmp_path / f'out/{row["image"]}.npz') as maps:
            found[target] = maps['relevance'][0] * maps['unit'][0]
    assert np.abs(found['edge:left'] - found['edge:right']).max() > 0
    with pytest.raises(InputError, match='made of no raw map'):
        call('detections', photo, '--target', 'mask')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--target', 'edge:middle'], "'edge:middle': expected one of score, logit"),
        (['--method', 'odamm'], "no method 'odamm'; there is odam"),
        (['--layer', 'bakbone'], "no layer 'bakbone'; near it are backbone"),
        (['--layer', 'neck:7'], "'neck' has outputs 0 to 0, not 7"),
        (['--select', 'score:0.9999'], 'the best score is 0.'),
        (['--select', 'class:house'], "no class 'house'"),
        (['--select', 'missed'], 'needs --truth'),
        (['--select', 'best'], 'expected one of top:...'),
        (['--target', 'box:1,2,3'], 'box:X1,Y1,X2,Y2,CLASS'),
        (['--truth', 'no.json', '--select', 'missed'], 'no file'),
    ],
)
def test_wrong_input_is_one_line(words: list[str], message: str, call: Call, photos: Path) -> None:
    with pytest.raises(InputError, match=message):
        call('detections', sorted(photos.iterdir())[0], *words)


def test_the_exit_code_of_wrong_input(
    main: Any, learned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ['detections', 'nowhere.jpg', '--checkpoint', str(learned)]
    assert run_tool(main, words) == 2
    assert 'input not found' in capsys.readouterr().err


def test_check_tells_maps_from_noise(call: Call, tmp_path: Path) -> None:
    words = ['--method', 'saliency,eigencam', '--deletions', 2, '--smooth', 0.3]
    call('check', '--split', 'val', *words)
    rows = {row['map']: row for row in csv.DictReader((tmp_path / 'out/check.csv').open())}

    def value(name: str, column: str) -> float:
        return float(rows[name][column])

    assert value('saliency', 'in_mask') > 1.5 * value('random', 'in_mask')
    assert value('random', 'times_area') == pytest.approx(1, abs=0.15)
    assert value('uniform box', 'in_box') == 1
    assert value('saliency', 'deletion') < value('random', 'deletion')
    assert -1 <= value('saliency, random weights', 'likeness') < 0.9
    assert (tmp_path / 'out/report.html').exists()
    assert value('saliency, smoothed', 'in_mask') != value('saliency', 'in_mask')
    assert 'random, smoothed' not in rows


def test_activations_of_a_layer(call: Call, photos: Path, tmp_path: Path) -> None:
    photo = sorted(photos.iterdir())[0]
    call('activations', photo, '--layer', 'backbone.layer1', '--channels', 'top:3')
    with np.load(tmp_path / f'out/{photo.stem}.npz') as found:
        energy = np.square(found['maps'].astype(float)).mean((1, 2))
        assert found['maps'].shape[0] == 3
        assert (np.diff(energy) <= 1e-2).all(), 'strongest first'
    assert (tmp_path / f'out/{photo.stem}_backbone.layer1.jpg').exists()
    with pytest.raises(InputError, match='has channels 0 to 7'):
        call('activations', photo, '--layer', 'backbone.layer1', '--channels', '3,800')
    with pytest.raises(InputError, match='expected top:N'):
        call('activations', photo, '--channels', 'best')


def test_the_patches_of_channels(call: Call, tmp_path: Path) -> None:
    call('channels', '--layer', 'backbone.layer1', '--channels', '5,2', '-k', 3)
    rows = list(csv.DictReader((tmp_path / 'out/channels.csv').open()))
    assert [row['channel'] for row in rows] == ['5'] * 3 + ['2'] * 3
    values = [float(row['value']) for row in rows[:3]]
    assert values == sorted(values, reverse=True)
    assert len({row['picture'] for row in rows[:3]}) == 3, 'at most one of a picture'
    assert (tmp_path / 'out/report.html').exists()


def test_imagined_pictures(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call('imagine', '--class', 'ball', '--steps', 12, '--size', 64)
    said = capsys.readouterr().out
    first, last = (float(word) for word in said.split('ball.png: ')[1].split()[0:8:5])
    assert last > first
    assert cv2.imread(str(tmp_path / 'out/ball.png')).shape == (64, 64, 3)
    call('imagine', '--layer', 'backbone.layer1', '--channel', 3, '--steps', 2, '--size', 64)
    assert (tmp_path / 'out/backbone.layer1_3.png').exists()
    with pytest.raises(InputError, match='name a --class, or'):
        call('imagine', '--steps', 2)
    with pytest.raises(InputError, match='has channels 0 to 7'):
        call('imagine', '--layer', 'backbone.layer1', '--channel', 99, '--size', 64)


def test_an_index_its_neighbours_its_plane_and_its_errors(
    call: Call, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / 'out'
    call('index', '--split', 'train')
    whole = ObjectIndex(index)
    assert whole.count == len(whole.records) > 8
    assert np.linalg.norm(whole.vectors[:].astype(float), axis=1) == pytest.approx(1, abs=1e-2)
    before = (index / 'vectors.f16').read_bytes(), (index / 'objects.jsonl').read_text()

    # a killed run: half of the pictures are in it, with a torn tail behind them
    meta = json.loads((index / 'meta.json').read_text())
    of_picture = [r['image'] for r in whole.records]
    count = of_picture.index(list(dict.fromkeys(of_picture))[2])
    (index / 'meta.json').write_text(json.dumps({**meta, 'count': count, 'pictures': 2}))
    (index / 'vectors.f16').write_bytes(before[0][: 2 * meta['width'] * count + 5])
    call('index', '--split', 'train')
    assert (index / 'vectors.f16').read_bytes() == before[0]
    assert (index / 'objects.jsonl').read_text() == before[1]

    photo = sorted(photos.iterdir())[0]
    moved = tmp_path / 'moved'
    index.rename(moved)
    call('neighbours', moved, photo, '-k', 2, '--score-thr', 0.1)
    assert (tmp_path / f'out/{photo.stem}_neighbours.jpg').exists()
    assert ' is ' in capsys.readouterr().out
    call('plot', moved, '--projection', 'pca', '--objects', 'both', checkpoint=False)
    page = (tmp_path / 'out/report.html').read_text()
    assert page.count('<circle') == whole.count
    assert 'trustworthiness' in page
    call('errors', moved, '-k', 2, checkpoint=False)
    rows = list(csv.DictReader((tmp_path / 'out/errors.csv').open()))
    kinds = {r['error'] for r in whole.records} - {'right', 'wrong', 'ignored'}
    assert {row['error'] for row in rows} == kinds
    for name in ('neighbours', 'plot', 'errors'):
        words = [photo] if name == 'neighbours' else []
        with pytest.raises(InputError, match='is no index'):
            call(name, tmp_path / 'nothing', *words, checkpoint=name == 'neighbours')


def test_segments_of_the_picture(
    call: Call, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A detector without a panoptic head: squares."""
    photo = sorted(photos.iterdir())[0]
    call('detections', photo, '--method', 'segments', '--select', 'top:1')
    assert 'on block' in capsys.readouterr().out
    with np.load(tmp_path / f'out/{photo.stem}.npz') as maps:
        assert 1 < len(np.unique(maps['relevance'])) <= 64


def test_artifacts_in_mlflow(call: Call, photos: Path, tmp_path: Path, empty_store: Path) -> None:
    photo = sorted(photos.iterdir())[0]
    shutil.copy(empty_store, tmp_path / 'runs.db')
    call('detections', photo, '--select', 'top:1', '--mlflow', f'sqlite:///{tmp_path}/runs.db')
    sent = {path.name for path in tmp_path.rglob('artifacts/explain/*')}
    assert sent == {'report.html', 'summary.csv', f'{photo.stem}_sheet.jpg'}
