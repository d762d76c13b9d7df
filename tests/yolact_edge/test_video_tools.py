"""The tools on a small video model: two processes, infer, export, evaluation by age."""

import json
import math
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from small_yolact import WIDTH, small_video_model

from mmext.configuration import load_config, rebase_data_root
from mmext.demo.figures import write_figure_dataset
from mmext.inference.video_files import create_video

ROOT = Path(__file__).parents[2]
SIDE = 96
EASY = dict(
    score_thr=0.05, nms=dict(type='fast', iou_threshold=0.5, top_k=20), max_per_img=5, mask_thr=0.5
)


def tool(name: str) -> Callable[[list[str]], None]:
    main: Callable[[list[str]], None] = runpy.run_path(str(ROOT / f'tools/{name}.py'))['main']
    return main


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, a config, a checkpoint and a video."""
    root = tmp_path_factory.mktemp('video_tools')
    write_figure_dataset(
        root / 'data', num_train=1, num_val=1, num_train_clips=2, num_val_clips=2,
        image_size=(SIDE, SIDE),
    )  # fmt: skip
    config = load_config(str(ROOT / 'configs/yolact_edge_video_demo.py'))
    rebase_data_root(config, str(root / 'data'))
    shrink(config)
    config.dump(root / 'tiny.py')
    model = small_video_model(type='mmext.YolactEdgeJointStage')
    meta = dict(cfg=Config.fromfile(root / 'tiny.py').pretty_text)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), root / 'tiny.pth')
    video = create_video(root / 'walk.mp4', 10.0, (SIDE, SIDE))
    for number in range(8):
        video.write(cv2.imread(str(root / f'data/val_clips/000001/{number:05d}.jpg')))
    video.close()
    return root


def shrink(config: Any) -> None:
    """The model of :func:`small_video_model`, small pictures, two steps."""
    model = config.model
    model.backbone.update(base_channels=WIDTH, stem_channels=WIDTH)
    model.neck.update(in_channels=[WIDTH * n for n in (1, 2, 4)], out_channels=WIDTH)
    model.bbox_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    model.mask_head.update(
        in_channels=WIDTH, proto_channels=(WIDTH, None, 32), proto_kernel_sizes=(3, -2, 1)
    )
    model.propagation.update(channels=WIDTH, encoded_channels=4)
    model.update(test_cfg=EASY, key_interval=2)
    config.update(load_from=None, train_cfg=dict(config.train_cfg, max_iters=2, val_interval=2))
    config.default_hooks.checkpoint.interval = 2
    config.default_hooks.pop('mlflow')
    config.train_dataloader.update(batch_size=2)
    config.train_dataloader.dataset.pipeline[0].transforms[2].scale = (SIDE, SIDE)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    for loader in (config.val_dataloader, config.test_dataloader):
        loader.dataset.update(key_passes=2)
        loader.dataset.pipeline[1].scale = (SIDE, SIDE)


def test_infer_draws_a_video(folder: Path, tmp_path: Path) -> None:
    tool('infer')(
        [
            str(folder / 'walk.mp4'), '--checkpoint', str(folder / 'tiny.pth'),
            '--config', str(folder / 'tiny.py'), '--out', str(tmp_path), '--batch-size', '3',
            '--score-thr', '0.05', '--device', 'cpu',
        ]
    )  # fmt: skip
    assert frames_in(tmp_path / 'pictures/walk.mp4') == 8
    found = json.loads((tmp_path / 'predictions.instances.json').read_text())
    assert {item['image_id'] for item in found['annotations']} == set(range(8))


def test_export_and_infer_with_the_files(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, video = tmp_path / 'walks.onnx', str(folder / 'walk.mp4')
    tool('export_onnx')(
        [
            str(folder / 'tiny.py'), str(folder / 'tiny.pth'), '--out', str(out),
            '--calibrate', video,
        ]
    )  # fmt: skip
    assert 'calibrated on 8 frames' in capsys.readouterr().out
    names = {path.name for path in tmp_path.glob('*.onnx')}
    assert names == {
        f'walks{kind}.{part}.onnx' for kind in ('', '-int8') for part in ('key', 'between')
    }
    drawn = tmp_path / 'drawn.mp4'
    tool('infer')([video, '--checkpoint', str(tmp_path / 'walks.key.onnx'), '--out', str(drawn)])
    assert frames_in(drawn) == 8


def frames_in(path: Path) -> int:
    return int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT))


def test_ap_by_age(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool('evaluate_key_frames')(
        [
            str(folder / 'tiny.py'), str(folder / 'tiny.pth'), '--ages', '2', '--out',
            str(tmp_path), '--precisions', 'fp32', '--timed-frames', '4',
        ]
    )  # fmt: skip
    report = json.loads((tmp_path / 'key_frames.json').read_text())
    assert report['frames'] == 14
    assert {len(ages) for ages in report['mask_ap'].values()} == {2}
    same = [report['mask_ap'][mode][0] for mode in ('propagate', 'repeat', 'compute')]
    assert same[0] == same[1] == same[2]
    assert 'age of the key frame | 0 | 1 |' in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / 'key_frames.png'))
    assert picture is not None and np.ptp(picture) > 100


def test_two_processes_train_and_judge(
    folder: Path, tmp_path: Path, run_to_end: Callable[..., Any]
) -> None:
    """Every parameter that learns does so on both; videos are shared out, AP is that of one."""
    launch = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']
    done = run_to_end(
        [
            sys.executable, *launch, ROOT / 'tools/train.py', folder / 'tiny.py', '--work-dir',
            tmp_path / 'two', '--launcher', 'pytorch',
        ],
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    of_two = logged(tmp_path / 'two')
    done = run_to_end(
        [
            sys.executable, ROOT / 'tools/test.py', folder / 'tiny.py',
            tmp_path / 'two/iter_2.pth', '--work-dir', tmp_path / 'one', '--precision', 'fp32',
        ],
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    of_one = logged(tmp_path / 'one')
    assert {name for name in of_one if 'mAP_50' in name} >= {'video/age_0/segm_mAP_50'}
    for name, value in of_one.items():
        if not math.isnan(value):
            assert of_two[name] == pytest.approx(value, abs=1e-6), name


def logged(place: Path) -> dict[str, float]:
    """The values of the last evaluation in a work directory."""
    entries = []
    for file in sorted(place.rglob('*.json')):
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            if 'video/segm_mAP' in entry:
                entries.append(entry)
    return {name: value for name, value in entries[-1].items() if name.startswith('video/')}
