"""The look at data, classes and model in real runs of a model that learns nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from coco_panoptic_set import CAT, CATEGORIES, CROWD, DOG, METAINFO, write_set
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmext.errors import InputError
from mmext.pipelines.data_check_hook import check_counts, head_counts
from mmext.registry import DATASETS

CLASSES = METAINFO['classes']
SWAPPED = ['dog', 'cat', 'sea', 'sky']


class Idle(BaseModel):
    """A model for some numbers of classes."""

    def __init__(self, num_things_classes: int, num_stuff_classes: int) -> None:
        super().__init__()
        self.num_things_classes, self.num_stuff_classes = num_things_classes, num_stuff_classes
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, mode: str, **batch: Any) -> Any:
        return {'loss': self.weight.sum()} if mode == 'loss' else [{}]


@pytest.fixture
def make_runner(tmp_path: Path) -> Callable[..., Runner]:
    """A runner whose data sets have the classes that are given."""
    config = write_set(tmp_path / 'data')

    def make(
        counts: tuple[int, int] = (2, 2),
        train: list[str] = CLASSES,
        evaluate: list[str] = CLASSES,
        load_from: Path | None = None,
    ) -> Runner:
        def loader(classes: list[str]) -> dict[str, Any]:
            metainfo = dict(classes=classes, palette=[(i, i, i) for i in range(4)])
            dataset = dict(config, metainfo=metainfo, pipeline=[])
            return dict(
                dataset=dataset,
                sampler=dict(type='DefaultSampler', shuffle=False),
                batch_size=1,
                num_workers=0,
                collate_fn=dict(type='pseudo_collate'),
            )

        return Runner(
            Idle(*counts),
            work_dir=str(tmp_path / 'work'),
            train_dataloader=loader(train),
            val_dataloader=loader(evaluate),
            test_dataloader=loader(evaluate),
            train_cfg=dict(by_epoch=False, max_iters=1, val_interval=1),
            val_cfg={},
            test_cfg={},
            val_evaluator=[],
            test_evaluator=[],
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1),
                data_check=dict(type='mmext.DataCheckHook'),
            ),
            load_from=None if load_from is None else str(load_from),
            default_scope='mmdet',
            experiment_name=f'classes_{tmp_path.name}_{counts}_{train}_{evaluate}_{load_from}',
            log_level='ERROR',
        )

    return make


def test_counts_are_those_of_the_model(make_runner: Callable[..., Runner]) -> None:
    runner = make_runner((3, 1))
    for run in (runner.train, runner.val, runner.test):
        with pytest.raises(ValueError, match=r'2 thing and 2 stuff classes, but Idle .* 3'):
            run()


def test_the_classes_of_the_training_set_are_evaluated(make_runner: Callable[..., Runner]) -> None:
    make_runner().train()
    make_runner(evaluate=SWAPPED).val()  # alone there is nothing to compare with
    runner = make_runner(evaluate=SWAPPED)
    runner.train()
    # labels go by name: the validation set has adopted the order that was learned
    dataset = runner.val_dataloader.dataset
    assert dataset.metainfo['classes'] == tuple(CLASSES)
    assert dataset.metainfo['thing_classes'] == ('cat', 'dog')
    assert dataset.metainfo['palette'] == [(1, 1, 1), (0, 0, 0), (2, 2, 2), (3, 3, 3)]
    assert runner.val_loop.evaluator.dataset_meta['classes'] == tuple(CLASSES)
    labels = {i['segment_id']: i['bbox_label'] for i in dataset.get_data_info(0)['instances']}
    assert labels == {CAT: 0, DOG: 1, CROWD: 1}


def test_the_classes_of_the_checkpoint_are_evaluated(
    make_runner: Callable[..., Runner], tmp_path: Path
) -> None:
    make_runner().train()
    stored = tmp_path / 'work' / 'iter_1.pth'
    make_runner(load_from=stored).test()
    runner = make_runner(evaluate=SWAPPED, load_from=stored)
    runner.test()
    assert runner.test_dataloader.dataset.metainfo['classes'] == tuple(CLASSES)
    # to go on from the weights of other classes is no error
    make_runner(train=SWAPPED, evaluate=SWAPPED, load_from=stored).train()


def test_weights_without_classes_are_taken(
    make_runner: Callable[..., Runner], tmp_path: Path
) -> None:
    weights = tmp_path / 'weights.pth'
    torch.save({'state_dict': {'weight': torch.tensor([3.0])}}, weights)
    runner = make_runner(load_from=weights)
    runner.test()
    assert runner.model.weight == 3
    assert runner.test_dataloader.dataset.metainfo['classes'] == tuple(CLASSES)


def test_the_set_has_the_classes_that_the_tests_assume() -> None:
    assert sorted(SWAPPED) == sorted(CLASSES) == sorted(c['name'] for c in CATEGORIES)


class Head(nn.Module):
    """Something with a number of classes."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes


def detector(**heads: nn.Module) -> nn.Module:
    """A two-stage detector's modules, as far as they have numbers of classes."""
    model = nn.Module()
    model.rpn_head = Head(1)
    model.semantic_head = Head(183)
    model.roi_head = nn.ModuleDict(heads)
    return model


def test_heads_that_have_one_output_for_each_class() -> None:
    stages = nn.ModuleList([Head(4), Head(5)])
    found = dict(head_counts(detector(bbox_head=stages, mask_head=Head(6), mask_iou_head=Head(7))))
    assert found == {
        'roi_head.bbox_head.0': 4,
        'roi_head.bbox_head.1': 5,
        'roi_head.mask_head': 6,
    }


class _Classes:
    def __init__(self, **metainfo: Any) -> None:
        self.metainfo = metainfo


@pytest.mark.parametrize('number', [1, 5])
def test_a_head_for_another_number_of_classes(number: int) -> None:
    model = detector(bbox_head=Head(2), mask_head=Head(number))
    message = (
        r"_Classes has 2 classes \('cat', 'dog'\), but num_classes=%d in "
        r'model\.roi_head\.mask_head\. Set it to 2'
    )
    with pytest.raises(InputError, match=message % number):
        check_counts(model, _Classes(classes=('cat', 'dog')))
    things = _Classes(classes=('cat', 'dog', 'sky'), thing_classes=('cat', 'dog'))
    with pytest.raises(InputError, match=f'num_classes={number} in'):
        check_counts(model, things)
    check_counts(detector(bbox_head=Head(2), mask_head=Head(2)), things)


def test_models_without_numbers_or_data_without_classes_pass() -> None:
    model = detector(bbox_head=Head(7))
    check_counts(model, _Classes())
    model.language_model = nn.Module()
    check_counts(model, _Classes(classes=('cat',)))


def test_strangers_stop_the_run(make_runner: Callable[..., Runner], tmp_path: Path) -> None:
    make_runner().train()
    stored = tmp_path / 'work' / 'iter_1.pth'
    checkpoint = torch.load(stored, weights_only=False)
    checkpoint['meta']['dataset_meta']['classes'] = ['cat', 'cow', 'sea', 'sky']
    torch.save(checkpoint, stored)
    with pytest.raises(InputError, match="class 1 is 'dog', that of the checkpoint 'cow'"):
        make_runner(load_from=stored).test()


def test_hosts_data_sets_are_compared_but_not_changed() -> None:
    from mmext.pipelines.class_tables import difference

    assert difference('abc', 'abc') == ([], [], True)
    assert difference('bac', 'abc') == ([], [], False)
    assert difference('ab', 'abc') == ([], ['c'], False)
    assert difference('abx', 'abc') == (['x'], ['c'], False)
    assert not hasattr(DATASETS.get('mmdet.CocoDataset'), 'adopt_classes')


def test_the_hosts_metric_goes_by_name(tmp_path: Path) -> None:
    from mmdet.evaluation import CocoMetric
    from test_coco_dataset import ROWS, write

    from mmext.pipelines.data_check_hook import check_evaluator

    paths = write(tmp_path, ROWS)
    metric = CocoMetric(ann_file=str(tmp_path / 'truth.json'))
    for kind, expected in (('mmext.CocoDataset', [8, 1, 3]), ('mmdet.CocoDataset', [3, 1, 8])):
        metric.cat_ids = None
        metainfo = dict(classes=('cow', 'cat', 'dog'))
        dataset = DATASETS.build(dict(paths, type=kind, metainfo=metainfo, test_mode=True))
        check_evaluator('val', dataset, [metric])
        assert metric.cat_ids == expected  # the host's data set numbers labels as the file does
    metainfo = dict(classes=('cow', 'cat', 'dog', 'yak'))
    dataset = DATASETS.build(dict(paths, type='mmext.CocoDataset', metainfo=metainfo))
    metric.cat_ids = None
    with pytest.raises(InputError, match="val_evaluator: its ann_file has no category 'yak'"):
        check_evaluator('val', dataset, [metric])


def test_the_truth_that_a_metric_wants_is_packed(tmp_path: Path) -> None:
    from coco_panoptic_set import write_set
    from test_coco_dataset import ROWS, write

    from mmext.metrics.coco.detection_metric import CocoDetectionMetric
    from mmext.metrics.panoptic.quality_metric import PanopticQualityMetric
    from mmext.pipelines.data_check_hook import check_evaluator

    boxes = write(tmp_path, ROWS)
    boxes |= dict(type='mmext.CocoDataset', metainfo=dict(classes='auto'))
    segments = write_set(tmp_path)
    pack = dict(type='mmdet.PackDetInputs')
    for config, metric, keys in (
        (boxes, CocoDetectionMetric(), ('instances',)),
        (segments, PanopticQualityMetric(), ('seg_map_path', 'segments_info')),
    ):
        config = dict(config, test_mode=True)
        message = rf"val_evaluator: {type(metric).__name__} .* does not pack '{keys[0]}'"
        with pytest.raises(InputError, match=message):
            check_evaluator('val', DATASETS.build(dict(config, pipeline=[pack])), [metric])
        packed = dict(pack, meta_keys=('img_id', *keys))
        for pipeline in ([packed], []):
            metric.dataset_meta = (
                dataset := DATASETS.build(dict(config, pipeline=pipeline))
            ).metainfo
            check_evaluator('val', dataset, [metric])


def test_a_text_is_no_table_of_classes() -> None:
    from mmext.pipelines.data_check_hook import _check_table

    _check_table('train', _Classes(classes=('cat',)))
    _check_table('train', _Classes())
    with pytest.raises(InputError, match=r"train: metainfo classes='auto' is no list of names"):
        _check_table('train', _Classes(classes='auto'))
