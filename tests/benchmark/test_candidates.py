"""What the command line names, and what the table takes from an evaluator."""

from pathlib import Path

import pytest

from mmext.benchmark.accuracy import columns
from mmext.benchmark.candidates import load_candidates
from mmext.errors import InputError


def test_configs_of_files_and_packages(tmp_path: Path) -> None:
    (tmp_path / 'mine.py').write_text(
        "model = dict(type='A', init_cfg=dict(type='Pretrained', checkpoint='x.pth'))\n"
    )
    weights = tmp_path / 'best.pth'
    weights.write_bytes(b'')
    packaged = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
    found = load_candidates(
        [f'{tmp_path}/mine.py={weights}', packaged, packaged],
        {'work_dir': 'w'},
    )
    assert [c.label for c in found] == [
        'mine',
        'retinanet_r18_fpn_1x_coco',
        'retinanet_r18_fpn_1x_coco #2',
    ]
    assert [c.checkpoint for c in found] == [str(weights), None, None]
    assert found[0].config.model.init_cfg is None
    assert found[1].config.model.type == 'RetinaNet'
    assert {c.config.work_dir for c in found} == {'w'}


def test_one_config_with_two_checkpoints(tmp_path: Path) -> None:
    (tmp_path / 'net.py').write_text('model = dict()\n')
    for name in ('a', 'b'):
        (tmp_path / f'{name}.pth').write_bytes(b'')
    specs = [f'{tmp_path}/net.py={tmp_path}/{name}.pth' for name in ('a', 'b', 'a')]
    assert [c.label for c in load_candidates(specs)] == ['net (a)', 'net (b)', 'net (a) #2']


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ('gone.py', 'config file not found: .*gone.py'),
        ('mmdet::gone.py', 'config file not found: .*/mmdet/.mim/configs/gone.py'),
        ('nopackage::a/b.py', "config nopackage::a/b.py: no package 'nopackage' is installed"),
        ('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py=gone.pth', 'checkpoint not found'),
    ],
)
def test_says_what_is_missing(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_candidates([spec])


def test_columns_are_percent_whatever_the_prefix() -> None:
    values = {
        'coco/bbox_mAP': 0.25,
        'coco/bbox_mAP_50': 0.5,
        'coco/segm_mAP': 0.125,
        'coco/keypoints_mAP': 0.0,
        'coco_panoptic/PQ': 40.0,
        'coco_panoptic/PQ_th': 50.0,
        'mIoU': 33.0,
        'other': 1.0,
    }
    assert columns(values) == {
        'box AP': 25.0,
        'mask AP': 12.5,
        'keypoint AP': 0.0,
        'PQ': 40.0,
        'PQ things': 50.0,
        'mIoU': 33.0,
    }
    assert columns({}) == {}
