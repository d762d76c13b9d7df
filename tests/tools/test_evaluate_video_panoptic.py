"""The evaluation of prediction folders: a real run against the metric, pairing, bad input."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmext.demo.categories import METAINFO
from mmext.demo.video import write_video_dataset
from mmext.errors import run_tool
from mmext.formats.panoptic_files import decode_id_png
from mmext.metrics.panoptic.video_quality_metric import VideoPanopticQualityMetric
from mmext.vpsnet.dataset import VideoPanopticDataset

Tool = Callable[[str], ModuleType]
VOID = len(METAINFO['classes'])


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('clips') / 'set'
    write_video_dataset(root, num_train=1, num_val=4, image_size=(96, 64), seed=5)
    return root


@pytest.fixture(scope='module')
def evaluated(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Predictions written by the metric, and its values."""
    dataset = VideoPanopticDataset(
        data_root=str(root), ann_file='annotations/panoptic_val.json', test_mode=True,
        data_prefix=dict(img='val/', seg='annotations/panoptic_val/'), metainfo=dict(METAINFO),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp('predictions')
    rng = np.random.default_rng(0)
    metric = VideoPanopticQualityMetric(
        str(root / 'annotations/panoptic_val.json'), str(root / 'annotations/panoptic_val'),
        classwise=True, outfile_prefix=str(folder),
    )  # fmt: skip
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        ids = decode_id_png(Path(info['seg_map_path']).read_bytes(), 'map')
        pred = np.full(ids.shape, VOID)
        for segment in info['segments_info']:
            number = (segment['id'] % 9 + 1) * (segment['category'] < 5)
            pred[ids == segment['id']] = segment['category'] + 1000 * number
        pred = np.roll(pred, rng.integers(-3, 4, 2), axis=(0, 1))
        evaluator.process([{**info, 'pred_panoptic_seg': {'sem_seg': torch.tensor(pred)[None]}}])
    values = evaluator.evaluate(len(dataset))
    return folder, {k.removeprefix('video_panoptic/'): v for k, v in values.items()}


def arguments(root: Path, folder: Path, *more: object) -> list[str]:
    truth = root / 'annotations/panoptic_val.json'
    pngs = root / 'annotations/panoptic_val'
    return [str(a) for a in (folder, '--truth', truth, '--truth-pngs', pngs, *more)]


def test_values_are_those_of_the_metric(
    root: Path, evaluated: tuple[Path, dict[str, Any]], call: Callable[..., None], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder, values = evaluated
    out = tmp_path / 'values.json'
    call('evaluate_video_panoptic', *arguments(root, folder, '--out', out))
    found = json.loads(out.read_text())
    assert found.keys() == values.keys()
    for name, value in values.items():
        assert found[name] == pytest.approx(value, rel=1e-12) or np.isnan(value), name
    assert 30 < found['VPQ'] < 99
    printed = capsys.readouterr().out
    assert '4 videos' in printed and f'{found["VPQ"]:.2f}' in printed


def test_pairing_by_position_as_in_the_published_script(
    root: Path, evaluated: tuple[Path, dict[str, Any]], call: Callable[..., None], tmp_path: Path
) -> None:
    """Names of Cityscapes-VPS, no ids in the predictions, no videos in the truth."""
    folder, values = evaluated
    truth = json.loads((root / 'annotations/panoptic_val.json').read_text())
    predictions = json.loads((folder / 'pred.json').read_text())
    (tmp_path / 'pngs').mkdir()
    (tmp_path / 'pred' / 'pan_pred').mkdir(parents=True)
    video_of = {i['id']: i['video_id'] - 500_000 for i in truth['images']}
    annotations = []
    for number, annotation in enumerate(truth['annotations'], start=1):
        name = f'{video_of[annotation["image_id"]]:04d}_{number:04d}_ulm_000001_final_mask.png'
        shutil.copy(
            root / 'annotations/panoptic_val' / annotation['file_name'], tmp_path / 'pngs' / name
        )
        shutil.copy(
            folder / 'pan_pred' / f'{annotation["image_id"]}.png',
            tmp_path / 'pred' / 'pan_pred' / f'{number:04d}.png',
        )
        annotations.append({**annotation, 'file_name': name})
    content = {'annotations': annotations[::-1], 'categories': truth['categories'],
               'images': [{'id': i['id']} for i in truth['images']]}  # fmt: skip
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    bare = [{'segments_info': a['segments_info']} for a in predictions['annotations']]
    (tmp_path / 'pred' / 'pred.json').write_text(json.dumps({'annotations': bare}))
    call(
        'evaluate_video_panoptic', tmp_path / 'pred', '--truth', tmp_path / 'truth.json',
        '--truth-pngs', tmp_path / 'pngs', '--out', tmp_path / 'values.json',
    )  # fmt: skip
    found = json.loads((tmp_path / 'values.json').read_text())
    assert found['VPQ'] == pytest.approx(values['VPQ'], rel=1e-12)
    assert found['STQ'] == pytest.approx(values['STQ'], rel=1e-12)


def test_predictions_with_category_ids_of_their_own(
    root: Path, evaluated: tuple[Path, dict[str, Any]], call: Callable[..., None], tmp_path: Path
) -> None:
    folder, values = evaluated
    content = json.loads((folder / 'pred.json').read_text())
    table = {c['id']: 900 - n for n, c in enumerate(content['categories'])}
    for entry in content['categories']:
        entry['id'] = table[entry['id']]
    for annotation in content['annotations']:
        for segment in annotation['segments_info']:
            segment['category_id'] = table[segment['category_id']]
    (tmp_path / 'pan_pred').symlink_to(folder / 'pan_pred')
    (tmp_path / 'pred.json').write_text(json.dumps(content))
    call('evaluate_video_panoptic', *arguments(root, tmp_path, '--out', tmp_path / 'values.json'))
    assert json.loads((tmp_path / 'values.json').read_text())['VPQ'] == values['VPQ']


def test_predictions_with_image_ids_of_their_own(
    root: Path, evaluated: tuple[Path, dict[str, Any]], call: Callable[..., None], tmp_path: Path
) -> None:
    """Cityscapes-VPS numbers all frames in one file and the labelled in another."""
    folder, values = evaluated
    content = json.loads((folder / 'pred.json').read_text())
    for annotation in content['annotations']:
        annotation['image_id'] += 10**9
    (tmp_path / 'pan_pred').symlink_to(folder / 'pan_pred')
    (tmp_path / 'pred.json').write_text(json.dumps(content))
    call('evaluate_video_panoptic', *arguments(root, tmp_path, '--out', tmp_path / 'values.json'))
    assert json.loads((tmp_path / 'values.json').read_text())['VPQ'] == values['VPQ']


def test_other_windows_and_rows_of_frames(
    root: Path, evaluated: tuple[Path, dict[str, Any]], call: Callable[..., None], tmp_path: Path
) -> None:
    folder, values = evaluated
    count = len(json.loads((folder / 'pred.json').read_text())['annotations'])
    out = tmp_path / 'values.json'
    call(
        'evaluate_video_panoptic', *arguments(root, folder, '--windows', 1, '--label-interval', 1),
        '--frames-per-video', count, '--out', out,
    )  # fmt: skip
    found = json.loads(out.read_text())
    assert found['VPQ'] == found['VPQ_k0'] == pytest.approx(values['VPQ_k0'], rel=1e-12)
    assert 'VPQ_k5' not in found


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({}, 'no file {tmp}/pred/pred.json'),
        ({'pred.json': 'x'}, 'pred.json is no JSON'),
        ({'pred.json': '{}'}, 'pred.json: no annotations in it'),
        ({'pred.json': {'annotations': [{'segments_info': []}]}}, 'there are 1 of them and'),
        ({'pred.json': {'annotations': [], 'categories': [{'id': 1, 'name': 'yeti'}]}},
         "its categories ['yeti'] are none of"),
        ({'pred.json': 'first'}, 'frames have no prediction'),
        ({'pred.json': 'all'}, 'no PNG at {tmp}/pred/pan_pred'),
    ],
)  # fmt: skip
def test_bad_folders_are_one_line(
    root: Path, evaluated: tuple[Path, dict[str, Any]], tool: Tool, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str,
) -> None:  # fmt: skip
    (tmp_path / 'pred').mkdir()
    for name, content in change.items():
        if content in ('first', 'all'):
            predictions = json.loads((evaluated[0] / 'pred.json').read_text())
            last = 1 if content == 'first' else None
            content = {'annotations': predictions['annotations'][:last]}
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / 'pred' / name).write_text(text)
    code = run_tool(tool('evaluate_video_panoptic').main, arguments(root, tmp_path / 'pred'))
    assert code == 2
    (line,) = [e for e in capsys.readouterr().err.splitlines() if e.startswith('error: ')]
    assert message.format(tmp=tmp_path) in line


def test_bad_numbers_are_one_line(
    root: Path, evaluated: tuple[Path, dict[str, Any]], tool: Tool,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for more, message in (
        (['--windows', '0'], 'windows: expected distinct numbers'),
        (['--workers', '0'], 'expected 1 or more'),
        (['--frames-per-video', '1000'], 'no whole number of videos of 1000'),
    ):
        code = run_tool(tool('evaluate_video_panoptic').main, arguments(root, evaluated[0], *more))
        assert code == 2 and message in capsys.readouterr().err


def test_files_that_disagree_are_named(
    root: Path, evaluated: tuple[Path, dict[str, Any]], tool: Tool, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / 'pred'
    shutil.copytree(evaluated[0], folder)
    content = json.loads((folder / 'pred.json').read_text())
    segments = content['annotations'][2]['segments_info']
    name = content['annotations'][2]['file_name']
    for change, message in (
        (lambda: segments[0].update(category_id=999), 'has category_id 999, which is none'),
        (lambda: segments.pop(0), f'{name}: ids without an entry in segments_info'),
    ):
        change()
        (folder / 'pred.json').write_text(json.dumps(content))
        assert run_tool(tool('evaluate_video_panoptic').main, arguments(root, folder)) == 2
        assert message in capsys.readouterr().err
