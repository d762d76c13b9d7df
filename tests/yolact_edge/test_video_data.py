"""Clips as frames, pairs and streams; pairs with their motion; AP by age of the key frame."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmext.demo.figures import write_figure_dataset
from mmext.errors import InputError, MissingFileError
from mmext.formats.flow_files import read_flow, write_flow
from mmext.metrics.coco.key_age_metric import MaskAPByKeyAgeMetric
from mmext.pipelines.frame_pairs import REFERENCE, BothFrames
from mmext.pipelines.video_sampler import VideoSampler
from mmext.yolact_edge.dataset import ClipFlowDataset, FlyingChairsDataset, VideoInstanceDataset
from mmext.yolact_edge.transforms import (
    PackFlowPair,
    PackVideoInstances,
    ShiftedCrops,
    joined_flow,
)

META = dict(classes=('person',), palette=[(1, 2, 3)])
LOAD = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(48, 48), keep_ratio=True),
]


@pytest.fixture(scope='module')
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('walks') / 'set'
    write_figure_dataset(
        root, num_train=1, num_val=1, num_train_clips=2, num_val_clips=1, image_size=(96, 96)
    )
    return root


def dataset(walks: Path, split: str = 'train', **options: Any) -> VideoInstanceDataset:
    pipeline = [
        dict(type='mmext.BothFrames', transforms=LOAD),
        dict(type='mmext.PackVideoInstances'),
    ]
    defaults: dict[str, Any] = dict(
        data_root=str(walks),
        ann_file=f'annotations/youtube_vis_{split}.json',
        data_prefix=dict(img=f'{split}_clips/'),
        metainfo=META,
        pipeline=pipeline,
        test_mode=split == 'val',
        filter_cfg=dict(filter_empty_gt=False),
    )
    return VideoInstanceDataset(**(defaults | options))


def test_frames_in_the_order_of_time(walks: Path) -> None:
    frames = dataset(walks, 'val')
    assert len(frames) == 8
    infos = [frames.get_data_info(i) for i in range(8)]
    assert [info['frame_id'] for info in infos] == list(range(8))
    assert {info['video_id'] for info in infos} == {1}
    assert any(info['instances'] for info in infos)
    assert 'key_frame' not in infos[0]


def test_passes_show_every_frame_at_every_age(walks: Path) -> None:
    frames = dataset(walks, 'val', key_passes=3)
    assert len(frames) == 24
    infos = [frames.get_data_info(i) for i in VideoSampler(frames)]
    keys = [[i['frame_id'] for i in infos[8 * n : 8 * n + 8] if i['key_frame']] for n in range(3)]
    assert keys == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert len({info['video_id'] for info in infos}) == 3


def test_references_come_before(walks: Path) -> None:
    frames = dataset(walks, reference_range=(2, 3), pipeline=[])
    seen = set()
    for index in range(len(frames)):
        item = frames.prepare_data(index)
        other = Path(item[REFERENCE]['img_path'])
        assert other.parent.name == Path(item['img_path']).parent.name
        seen.add((item['frame_id'], item['frame_id'] - int(other.stem)))
    assert {distance for frame, distance in seen if frame >= 3} <= {2, 3}
    assert {distance for frame, distance in seen if frame < 2} == {0}
    assert {distance for frame, distance in seen if frame == 2} == {2}


def test_a_packed_pair(walks: Path) -> None:
    packed = dataset(walks, reference_range=(1, 4))[7]
    assert {k: v.shape for k, v in packed['inputs'].items()} == dict.fromkeys(
        ('img', 'ref_img'), (3, 48, 48)
    )
    assert not packed['inputs']['img'].equal(packed['inputs']['ref_img'])
    assert packed['data_samples'].frame_id == 7
    assert 'ref_img' not in str(type(dataset(walks)[0]['inputs']))


def test_frames_that_are_not_annotated(walks: Path, tmp_path: Path) -> None:
    """Learned from as references alone, gone through in tests."""
    content = json.loads((walks / 'annotations/youtube_vis_train.json').read_text())
    for video in content['videos']:
        video['file_names'] = video['file_names'][::5]
    for track in content['annotations']:
        for key in ('bboxes', 'segmentations', 'areas'):
            track[key] = track[key][::5]
    file = tmp_path / 'few.json'
    file.write_text(json.dumps(content))
    drawn = dataset(walks, ann_file=str(file), all_frames=True, reference_range=(2, 5), pipeline=[])
    assert len(drawn) == 4
    item = drawn.prepare_data(1)
    assert item['frame_id'] == 5
    assert 0 <= int(Path(item[REFERENCE]['img_path']).stem) <= 3
    run = dataset(walks, ann_file=str(file), all_frames=True, test_mode=True)
    infos = [run.get_data_info(i) for i in range(len(run))]
    assert len(infos) == 16
    assert [info['is_annotated'] for info in infos[:8]] == [i in (0, 5) for i in range(8)]


def test_wrong_ranges_are_refused(walks: Path) -> None:
    with pytest.raises(InputError, match='reference_range'):
        dataset(walks, reference_range=(3, 2))
    with pytest.raises(InputError, match='key_passes'):
        dataset(walks, key_passes=0)


def test_motion_follows_the_transforms(walks: Path) -> None:
    """A mirrored, shrunk pair: the flow of the file, mirrored and shrunk."""
    steps = [
        dict(type='mmext.LoadImageFromFile'),
        dict(type='RandomFlip', prob=1.0),
        dict(type='Resize', scale=(48, 48), keep_ratio=True),
    ]
    pairs = ClipFlowDataset(
        data_root=str(walks),
        data_prefix=dict(img='train_clips/', flow='train_flow/'),
        max_distance=2,
        pipeline=[BothFrames(steps), PackFlowPair()],
    )
    assert len(pairs) == 2 * (7 + 6)
    info = pairs.get_data_info(0)
    sample = pairs[0]['data_samples']
    flow = torch.from_numpy(read_flow(info['flow_paths'][0])).movedim(-1, 0)
    wanted = torch.nn.functional.avg_pool2d(flow.flip(2), 2) * torch.tensor([-0.5, 0.5]).view(
        2, 1, 1
    )
    assert sample.gt_flow.shape == (2, 48, 48)
    near = (sample.gt_flow - wanted).norm(dim=0)
    assert near.median() < 1e-4  # borders of figures are mixed
    assert 0.5 < sample.flow_valid.float().mean() <= 1


def test_windows_of_a_pair_show_the_motion_between_them() -> None:
    """Each pixel of the first window is where its flow says in the second, or that is unknown."""
    np.random.seed(0)
    picture = torch.arange(20 * 30).view(1, 20, 30).expand(3, -1, -1)  # each pixel has a number
    moved = torch.roll(picture, (2, 3), (1, 2))
    seen = 0
    for _ in range(10):
        sample = DetDataSample()
        sample.gt_flow = torch.tensor([3.0, 2.0]).view(2, 1, 1).expand(2, 20, 30)
        sample.flow_valid = torch.ones(20, 30, dtype=torch.bool)
        packed = dict(inputs=dict(img=picture, ref_img=moved), data_samples=sample)
        cut = ShiftedCrops((16, 20), 3).transform(packed)
        sample, inputs = cut['data_samples'], cut['inputs']
        assert inputs['img'].shape == (3, 16, 20) and sample.img_shape == (16, 20)
        y, x = sample.flow_valid.nonzero(as_tuple=True)
        to_x, to_y = (sample.gt_flow[:, y, x].long() + torch.stack((x, y))).unbind()
        assert torch.equal(inputs['img'][0, y, x], inputs['ref_img'][0, to_y, to_x])
        seen += len(x)
        assert (sample.gt_flow[:, 0, 0] - torch.tensor([3.0, 2.0])).abs().max() <= 3
    assert seen > 10 * 100
    with pytest.raises(InputError, match='smaller size'):
        ShiftedCrops((21, 20), 3).transform(packed)


def test_flows_one_after_the_other(tmp_path: Path) -> None:
    """Two shifts add up; what the first hides stays hidden."""
    paths = []
    for number, shift in enumerate(((2.0, 0.0), (1.0, 1.0))):
        path = tmp_path / f'{number}.npz'
        hidden = np.zeros((12, 16), bool)
        hidden[3, 4 + number] = True
        flow = np.tile(np.array(shift, np.float32), (12, 16, 1))
        np.savez(path, flow=flow, hidden=hidden)
        paths.append(str(path))
    flow, valid = joined_flow(paths)
    torch.testing.assert_close(flow[:, 5, 5], torch.tensor([3.0, 1.0]))
    assert not valid[3, 4] and not valid[3, 3]  # two cells to the right of it hides the second
    assert not valid[:, 14:].any()  # outside of the second frame
    assert valid[5, 5]


def test_flying_chairs(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        for kind in ('img1', 'img2'):
            cv2.imwrite(str(tmp_path / f'{number:05d}_{kind}.ppm'), np.zeros((8, 10, 3), np.uint8))
        write_flow(str(tmp_path / f'{number:05d}_flow.flo'), np.ones((8, 10, 2), np.float32))
    split = tmp_path / 'split.txt'
    split.write_text('1\n2\n1\n')
    options: dict[str, Any] = dict(
        data_prefix=dict(img=str(tmp_path)), ann_file=str(split), pipeline=[]
    )
    assert len(FlyingChairsDataset(**options)) == 2
    assert len(FlyingChairsDataset(test_mode=True, **options)) == 1
    steps = BothFrames([dict(type='mmext.LoadImageFromFile')])
    pairs = FlyingChairsDataset(**(options | dict(pipeline=[steps, PackFlowPair()])))
    assert pairs[1]['data_samples'].gt_flow.eq(1).all()
    split.write_text('1\n')
    with pytest.raises(InputError, match='1 lines for 3 pairs'):
        FlyingChairsDataset(**options)
    with pytest.raises(MissingFileError, match=r'_flow\.flo'):
        FlyingChairsDataset(data_prefix=dict(img=str(tmp_path / 'none')), pipeline=[])


def judged(image: int, age: int, hit: bool, annotated: bool = True) -> dict[str, Any]:
    """A frame of 8 x 8 with one object, found or not."""
    mask = np.zeros((1, 8, 8), bool)
    mask[0, 2:6, 2:6] = True
    truth = dict(bbox=[2, 2, 6, 6], bbox_label=0, ignore_flag=0, mask=[[2, 2, 6, 2, 6, 6, 2, 6]])
    found = InstanceData(
        bboxes=torch.tensor([[2.0, 2, 6, 6]]),
        scores=torch.tensor([0.9]),
        labels=torch.tensor([0]),
        masks=torch.from_numpy(mask if hit else ~mask),
    )
    return dict(
        img_id=image, ori_shape=(8, 8), key_age=age, is_annotated=annotated, instances=[truth],
        pred_instances={k: found[k] for k in ('bboxes', 'scores', 'labels', 'masks')},
    )  # fmt: skip


@pytest.fixture
def metric() -> Callable[..., dict[str, float]]:
    def evaluate(*samples: dict[str, Any]) -> dict[str, float]:
        evaluator = MaskAPByKeyAgeMetric(metric='segm')
        evaluator.dataset_meta = META
        for sample in samples:
            evaluator.process(None, [sample])
        return evaluator.evaluate(len(samples))

    return evaluate


def test_ap_by_age_on_common_frames(metric: Callable[..., dict[str, float]]) -> None:
    """Frame 1 is met at ages 0 and 1, frame 2 at age 0 alone, frame 3 has no truth."""
    values = metric(
        judged(1, 0, True), judged(1, 1, False), judged(2, 0, False), judged(3, 1, True, False),
        judged(1, 0, True),
    )  # fmt: skip
    assert values['video/age_0/segm_mAP'] == pytest.approx(1.0)
    assert values['video/age_1/segm_mAP'] == pytest.approx(0.0)
    assert values['video/segm_mAP'] == pytest.approx(0.5)


def test_ap_without_common_frames(metric: Callable[..., dict[str, float]]) -> None:
    values = metric(judged(1, 0, False), judged(2, 1, True))
    assert values['video/age_0/segm_mAP'] == pytest.approx(0.0)
    assert values['video/age_1/segm_mAP'] == pytest.approx(1.0)


def test_a_single_frame_is_packed_as_the_host_does(walks: Path) -> None:
    assert issubclass(PackVideoInstances, sys.modules['mmdet.datasets.transforms'].PackDetInputs)
    packed = dataset(walks, 'val')[0]
    assert packed['inputs'].shape == (3, 48, 48)
    assert packed['data_samples'].video_id == 1
