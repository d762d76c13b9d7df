"""mmdet's families that stopped inside the host: one step and a validation by tools/train.py.

The configs are the host's own, with few channels, on the generated data set.
"""

import contextlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mmengine.config import Config

from mmext.configuration import load_config
from mmext.demo.categories import METAINFO
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError

WIDTH, SIDE = 8, 64
THINGS, STUFF = len(METAINFO['thing_classes']), len(METAINFO['stuff_classes'])
COUNTS = dict(num_things_classes=THINGS, num_stuff_classes=STUFF)
STAGES = [WIDTH * 2**i for i in range(4)]


@pytest.fixture(scope='module')
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('demo')
    write_panoptic_dataset(folder, num_train=2, num_val=2, image_size=(SIDE, SIDE))
    return folder


def shrink_backbone(model: Any) -> None:
    model.backbone.update(depth=18, base_channels=WIDTH, stem_channels=WIDTH)


def shrink_panoptic_fpn(model: Any) -> None:
    shrink_two_stage(model)
    norm = dict(type='GN', num_groups=2, requires_grad=True)
    model.semantic_head.update(in_channels=WIDTH, inner_channels=WIDTH, norm_cfg=norm, **COUNTS)
    model.panoptic_fusion_head.update(COUNTS)


def shrink_two_stage(model: Any) -> None:
    shrink_rpn(model)
    for part in ('bbox', 'mask'):
        model.roi_head[f'{part}_roi_extractor'].out_channels = WIDTH
        model.roi_head[f'{part}_head'].update(
            in_channels=WIDTH, conv_out_channels=WIDTH, num_classes=THINGS
        )
    model.roi_head.bbox_head.fc_out_channels = 16
    if 'Shared2FC' in model.roi_head.bbox_head.type:
        del model.roi_head.bbox_head['conv_out_channels']


def shrink_rpn(model: Any) -> None:
    shrink_backbone(model)
    model.neck.update(in_channels=STAGES, out_channels=WIDTH)
    model.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)


def shrink_mask_former(model: Any) -> None:
    shrink_backbone(model)
    head = model.panoptic_head
    head.update(in_channels=STAGES, num_queries=10, **COUNTS)
    head.loss_cls.class_weight = [1.0] * (THINGS + STUFF) + [0.1]
    head.pixel_decoder.encoder.num_layers = 1
    head.transformer_decoder.num_layers = 1
    model.panoptic_fusion_head.update(COUNTS)


def shrink_ssd(model: Any) -> None:
    model.bbox_head.num_classes = THINGS


def shrink_query_inst(model: Any) -> None:
    shrink_backbone(model)
    model.neck.in_channels = STAGES
    model.rpn_head.num_proposals = 5
    model.roi_head.update(num_stages=1, stage_loss_weights=[1])
    for name in ('bbox_head', 'mask_head'):
        model.roi_head[name] = model.roi_head[name][:1]
        model.roi_head[name][0].num_classes = THINGS
    model.train_cfg.rcnn = model.train_cfg.rcnn[:1]
    model.test_cfg.rcnn.max_per_img = 5  # of 5 proposals and 5 classes


FAMILIES: dict[str, tuple[Callable[[Any], None], str]] = {
    'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco': (shrink_panoptic_fpn, 'coco_panoptic/PQ'),
    'maskformer/maskformer_r50_ms-16xb1-75e_coco': (shrink_mask_former, 'coco_panoptic/PQ'),
    'ssd/ssd300_coco': (shrink_ssd, 'coco/bbox_mAP'),
    'rpn/rpn_r50_fpn_1x_coco': (shrink_rpn, 'coco/AR@100'),
    'queryinst/queryinst_r50_fpn_1x_coco': (shrink_query_inst, 'coco/segm_mAP'),
    'strong_baselines/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_lsj-100e_coco': (
        shrink_two_stage,
        'coco/segm_mAP',
    ),
}
REPLACED = {  # what the tool says
    'panoptic_fpn': 'mmext.PanopticQualityMetric',
    'maskformer': 'mmext.LoadPanopticAnnotations',
    'strong_baselines': 'BN in the place of MMSyncBN (model.',
}


def shrink_run(config: Config, key: str, side: int) -> None:
    """One step of two small images, and one validation; no network, no augmentation by size."""
    classes = {name: METAINFO[name] for name in ('classes', 'thing_classes', 'stuff_classes')}
    things = dict(classes=METAINFO['thing_classes'])
    for name in ('train', 'val'):
        loader = config[f'{name}_dataloader']
        while 'dataset' in loader.dataset:
            loader.dataset = loader.dataset.dataset
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        loader.dataset.metainfo = classes if 'panoptic' in key else things
        resize = dict(type='Resize', scale=(side, side), keep_ratio=False)
        kept = ('Load', 'Pack')
        steps = [step for step in loader.dataset.pipeline if step.type.startswith(kept)]
        loader.dataset.update(pipeline=[*steps[:-1], resize, steps[-1]], filter_cfg=None)
        if side > SIDE:
            loader.dataset.indices = 1  # the head of SSD300 needs its 300 pixels
    config.update(test_dataloader=config.val_dataloader, test_evaluator=config.val_evaluator)
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
    config.param_scheduler = None
    config.optim_wrapper.optimizer.lr = 1e-5
    config.default_hooks.logger.interval = 1
    config.custom_hooks = []


class Run(NamedTuple):
    """A finished training: its folder, the value that its metric has to give, what was printed."""

    folder: Path
    key: str
    printed: str
    expected: str | None

    def records(self) -> list[dict[str, Any]]:
        """What mmengine logged."""
        (log,) = (self.folder / 'train').glob('2*/vis_data/scalars.json')
        return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture(scope='module', params=FAMILIES)
def run(
    request: pytest.FixtureRequest,
    data_root: Path,
    call: Callable[..., None],
    as_new_process: Callable[[], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A family trained by tools/train.py."""
    as_new_process()
    folder = tmp_path_factory.mktemp('family')
    name = request.param
    shrink, key = FAMILIES[name]
    config = load_config(f'mmdet::{name}.py', {'data_root': f'{data_root}/'})
    shrink_run(config, key, 300 if name.startswith('ssd') else SIDE)
    shrink(config.model)
    config.dump(folder / 'tiny.py')
    with contextlib.redirect_stdout(io.StringIO()) as out:
        call('train', folder / 'tiny.py', '--work-dir', folder / 'train', '--no-pretrained')
    return Run(folder, key, out.getvalue(), REPLACED.get(name.partition('/')[0]))


def test_one_step_and_a_validation(run: Run) -> None:
    records = run.records()
    assert math.isfinite(records[0]['loss'])
    assert 0 <= records[-1][run.key] <= 100
    assert (run.folder / 'train/epoch_1.pth').is_file()
    assert (run.expected is None) == (' in the place of ' not in run.printed)
    assert run.expected is None or run.expected in run.printed


def test_tests_and_predicts(
    run: Run, data_root: Path, call: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    config, checkpoint = run.folder / 'tiny.py', run.folder / 'train/epoch_1.pth'
    call('test', config, checkpoint, '--work-dir', run.folder / 'test')
    assert run.expected is None or run.expected in capsys.readouterr().out
    (log,) = (run.folder / 'test').glob('2*/2*.json')
    tested = json.loads(log.read_text().splitlines()[-1])
    assert tested[run.key] == pytest.approx(run.records()[-1][run.key], abs=1e-6)
    picture = min(data_root.glob('val2017/*'))
    out = run.folder / 'predictions'
    call('infer', picture, '--config', config, '--checkpoint', checkpoint, '--out', out)
    assert len(list((out / 'pictures').iterdir())) == 1


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        (
            'crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman',
            r'roi_layer\.use_torchvision=False$',
        ),
        (
            'convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco',
            'pip install onedl-mmpretrain',
        ),
        ('fast_rcnn/fast-rcnn_r50_fpn_1x_coco', r'proposals/rpn\S+\.pkl, named by .*DumpProposals'),
        (
            'pascal_voc/retinanet_r50_fpn_1x_voc0712',
            'data/VOCdevkit/VOC2007/ImageSets/Main/trainval',
        ),
        (
            'lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1',
            'data/lvis_v1/annotations/lvis_v1_train',
        ),
        ('cityscapes/mask-rcnn_r50_fpn_1x_cityscapes', 'data/cityscapes/annotations/instances'),
        ('openimages/retinanet_r50_fpn_32xb2-1x_openimages', 'data/OpenImages/annotations/'),
        ('objects365/retinanet_r50_fpn_1x_objects365v1', 'data/Objects365/Obj365_v1/annotations/'),
    ],
)
def test_what_is_missing_is_one_line(
    name: str,
    message: str,
    data_root: Path,
    call: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    coco = tmp_path / 'data/coco'
    coco.parent.mkdir()
    coco.symlink_to(data_root)  # its annotations are there, what a config wants beside them is not
    with pytest.raises(InputError, match=message) as caught:
        call('train', f'mmdet::{name}.py', '--no-pretrained')
    assert '\n' not in str(caught.value)
