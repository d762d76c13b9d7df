"""tools/explain.py: real runs on a detector that knows its pictures, and wrong input."""

import csv
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmext.errors import InputError, run_tool

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
    assert 'http' not in page, 'a report needs no network'
    assert len(page) < 600_000
    assert '<script' not in page


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


@pytest.mark.parametrize(
    ('words', 'message'),
    [
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
    call('check', '--split', 'val', '--method', 'saliency,eigencam', '--deletions', 2)
    rows = {row['map']: row for row in csv.DictReader((tmp_path / 'out/check.csv').open())}

    def value(name: str, column: str) -> float:
        return float(rows[name][column])

    assert value('saliency', 'in_mask') > 1.5 * value('random', 'in_mask')
    assert value('random', 'times_area') == pytest.approx(1, abs=0.15)
    assert value('uniform box', 'in_box') == 1
    assert value('saliency', 'deletion') < value('random', 'deletion')
    assert -1 <= value('saliency, random weights', 'likeness') < 0.9
    assert (tmp_path / 'out/report.html').exists()
