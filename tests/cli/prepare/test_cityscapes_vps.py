"""tools/prepare_data.py cityscapes-vps: a set of the published layout, as the configs read it."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from cityscapes_vps_set import CAR, HEIGHT, PERSON, ROAD, WIDTH, write_set
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope

from mmext.cli.prepare.cityscapes_vps_maps import Instance, compose_ids, describe
from mmext.errors import run_tool
from mmext.formats.panoptic_files import decode_id_png
from mmext.metrics.panoptic.video_quality_metric import VideoPanopticQualityMetric
from mmext.registry import DATASETS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_set(tmp_path / 'set')
    return tmp_path / 'set'


def prepare(root: Path, *more: str) -> int:
    spec = importlib.util.spec_from_file_location('prepare', ROOT / 'tools' / 'prepare_data.py')
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return run_tool(tool.main, ['cityscapes-vps', '--root', str(root), *more])


def dataset_of(root: Path, loop: str, **changes: Any) -> Any:
    """The data set of the configuration on the prepared files."""
    init_default_scope('mmdet')
    config = Config.fromfile(ROOT / 'configs/_base_/datasets/cityscapes_vps.py')
    part = config[f'{loop}_dataloader'].dataset
    part.update(data_root=str(root), **changes)
    return DATASETS.build(part)


def test_training_frames(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(root, '--splits', 'train') == 0
    said = capsys.readouterr().out
    assert '2 videos, 5 labelled frames' in said and '5 regions of things' in said
    dataset = dataset_of(root, 'train', pipeline=[])
    assert [(f['video_id'], f['frame_id']) for f in map(dataset.get_data_info, range(5))] == [
        (3, 0), (3, 1), (4, 0), (4, 1), (4, 2)
    ]  # fmt: skip
    ids = set()
    for i in (2, 3, 4):
        info = dataset.get_data_info(i)
        car, crowd = sorted(info['instances'], key=lambda n: n['ignore_flag'])
        place = info['frame_id']
        assert car['bbox'] == [5 + 4 * place, 12, 20 + 4 * place, 20] and not car['ignore_flag']
        assert crowd['bbox'] == [50, 12, 60, 18] and crowd['ignore_flag']
        assert dataset.metainfo['classes'][car['bbox_label']] == 'car'
        ids.add(car['instance_id'])
        stuff = {dataset.metainfo['classes'][s['category']] for s in info['segments_info']}
        assert stuff == {'car', 'road', 'sky'}
        png = decode_id_png(Path(info['seg_map_path']).read_bytes(), 'png')
        assert (png[-4:] == 0).all() and (png[:-4] > 0).all()
    assert len(ids) == 1


def test_the_training_pipeline_runs(root: Path) -> None:
    assert prepare(root) == 0
    pipeline = Config.fromfile(ROOT / 'configs/_base_/datasets/cityscapes_vps.py').train_pipeline
    pipeline[0].transforms[2].scale = (WIDTH, HEIGHT)
    pipeline[0].transforms[4].crop_size = (48, 24)
    dataset = dataset_of(root, 'train', pipeline=pipeline)
    np.random.seed(0)
    for i in range(len(dataset)):
        pair = dataset[i]
        assert pair['inputs']['img'].shape == pair['inputs']['ref_img'].shape == (3, 24, 48)


def test_all_frames_are_predicted_and_the_labelled_judged(root: Path) -> None:
    assert prepare(root, '--splits', 'val') == 0
    dataset = dataset_of(root, 'val', pipeline=[])
    assert [dataset.get_data_info(i)['frame_id'] for i in range(len(dataset))] == list(range(10))
    metric = VideoPanopticQualityMetric(windows=(1, 2))
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    labelled = 0
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        pred = np.full((HEIGHT, WIDTH), dataset.metainfo['classes'].index('road'))
        t = i + 1
        if t % 5 == 0:
            pred[10:20, 2 * t : 2 * t + 15] = 1000  # person 1
            assert info['seg_map_path'] is not None
            labelled += 1
        evaluator.process([{**info, 'pred_panoptic_seg': {'sem_seg': torch.tensor(pred)[None]}}])
    values = evaluator.evaluate(len(dataset))
    assert labelled == 2 and values['video_panoptic/VPQ'] == values['video_panoptic/STQ'] == 100


def test_a_submission_of_the_test_split(root: Path, tmp_path: Path) -> None:
    """All frames are seen, the judged are written, in the set's order and with its categories."""
    assert prepare(root, '--splits', 'test') == 0
    init_default_scope('mmdet')
    config = Config.fromfile(ROOT / 'configs/vpsnet/vpsnet_r50_cityscapes-vps_test.py')
    part = config.test_dataloader.dataset
    part.pipeline[1].scale = (WIDTH, HEIGHT)
    part.update(data_root=str(root))
    dataset = DATASETS.build(part)
    config.test_evaluator.outfile_prefix = str(tmp_path / 'out')
    evaluator = Evaluator(config.test_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    assert len(dataset) == 20
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples']
        car = 1000 * (i + 1) + dataset.metainfo['classes'].index('car')
        ids = torch.full((1, HEIGHT, WIDTH), car, dtype=torch.int32)
        evaluator.process([{**sample.metainfo, 'pred_panoptic_seg': {'sem_seg': ids}}])
    assert evaluator.evaluate(len(dataset)) == {}
    content = json.loads((tmp_path / 'out' / 'pred.json').read_text())
    ids = [90_005, 90_010, 100_005, 100_010]
    assert [a['image_id'] for a in content['annotations']] == ids
    for annotation in content['annotations']:
        assert [s['category_id'] for s in annotation['segments_info']] == [7 + CAR]
    pngs = sorted(path.name for path in (tmp_path / 'out' / 'pan_pred').iterdir())
    assert pngs == sorted(f'{i}.png' for i in ids)


def test_compose_and_describe_against_loops() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        train_ids = rng.choice([ROAD, CAR, PERSON, 255], (9, 11)).astype(np.uint8)
        instances = [
            Instance(int(rng.choice([CAR, PERSON])), int(rng.integers(24_000, 27_000)),
                     rng.random((9, 11)) < 0.2)
            for _ in range(3)
        ]  # fmt: skip
        before = train_ids.copy()
        ids = compose_ids(train_ids, instances)
        np.testing.assert_array_equal(train_ids, before)
        for y in range(9):
            for x in range(11):
                expected = 0 if train_ids[y, x] == 255 else 10_000 * (int(train_ids[y, x]) + 1)
                for train_id, inst_id, mask in instances:
                    if mask[y, x]:
                        expected = 10_000 * (train_id + 1) + 1 + inst_id % 1000
                assert ids[y, x] == expected
        segments = {s['id']: s for s in describe(ids)}
        assert set(segments) == set(np.unique(ids).tolist()) - {0}
        for segment_id, segment in segments.items():
            mask = (ids == segment_id).astype(np.uint8)
            assert segment['area'] == mask.sum() and tuple(segment['bbox']) == cv2.boundingRect(
                mask
            )
            assert segment['category_id'] == segment_id // 10_000 - 1
            crowd = segment_id % 10_000 == 0 and segment['category_id'] >= 11
            assert segment['iscrowd'] == crowd


def _edit(root: Path, name: str, change: Any) -> None:
    content = json.loads((root / name).read_text())
    change(content)
    (root / name).write_text(json.dumps(content))


INSTANCES, ALL, TRUTH, TRAIN, TEST = (
    *('instances_train_city_vps_rle.json', 'im_all_info_val_city_vps.json'),
    *('panoptic_gt_val_city_vps.json', 'panoptic_im_train_city_vps.json'),
    'panoptic_im_test_city_vps.json',
)


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda r: (r / INSTANCES).unlink(), f'{INSTANCES}; see --help'),
        (lambda r: (r / ALL).write_text('x'), f'{ALL} is no JSON'),
        (lambda r: _edit(r, INSTANCES, lambda c: c.pop('categories')), 'no categories in it'),
        (lambda r: _edit(r, TRAIN, lambda c: c['images'][0].update(file_name='a.png')),
         'a.png is no name of Cityscapes-VPS'),
        (lambda r: _edit(r, INSTANCES, lambda c: c['categories'][0].update(name='cat')),
         "['cat'] are no classes of Cityscapes"),
        (lambda r: _edit(r, INSTANCES, lambda c: c['categories'][0].update(name='road')),
         'a thing of [32, 64] is expected'),
        (lambda r: next((r / 'train/labelmap').iterdir()).unlink(), 'is expected, got 0'),
        (lambda r: next((r / 'train/img').iterdir()).unlink(), 'nothing at'),
        (lambda r: next((r / 'val/img_all').iterdir()).unlink(), 'nothing at'),
        (lambda r: _edit(r, ALL, lambda c: c['images'].pop(4)), 'has no frame 5 of video 5'),
        (lambda r: _edit(r, ALL, lambda c: c['images'][4].update(
            file_name='0005_0005_bonn_000001_000077_leftImg8bit.png')), 'should label frame 5'),
        (lambda r: _edit(r, TRUTH, lambda c: c['annotations'][0]['segments_info'].pop()),
         'ids without an entry in segments_info'),
        (lambda r: next((r / 'test/img_all').iterdir()).unlink(), 'nothing at'),
        (lambda r: _edit(r, TEST, lambda c: c['images'].pop()), 'lists 3 frames; every 5th'),
    ],
)  # fmt: skip
def test_damage_is_one_line(
    root: Path, capsys: pytest.CaptureFixture[str], damage: Any, message: str
) -> None:
    damage(root)
    assert prepare(root, '--splits', 'train', 'val', 'test') == 2
    (line,) = [e for e in capsys.readouterr().err.splitlines() if e.startswith('error: ')]
    assert message in line


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(tmp_path / 'none') == 2
    assert 'python -m mmext.demo video' in capsys.readouterr().err
