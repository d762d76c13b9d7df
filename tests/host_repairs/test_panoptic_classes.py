"""Panoptic configs of the host: what is replaced, and that PQ is the host's."""

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mmdet.datasets import ADE20KPanopticDataset, CocoPanopticDataset
from mmdet.evaluation import CocoPanopticMetric
from mmdet.evaluation.functional import panoptic_utils
from mmengine.config import Config
from mmengine.evaluator import Evaluator

from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.host_repairs.panoptic_classes import use_own_panoptic_classes
from mmext.registry import DATASETS, METRICS

LOADER = 'LoadPanopticAnnotations'
OURS = {'mmext.CocoPanopticDataset', f'mmext.{LOADER}', 'mmext.PanopticQualityMetric'}


def kinds(node: Any) -> list[Any]:
    """All values of ``type``."""
    found = [node['type']] if isinstance(node, dict) and 'type' in node else []
    if isinstance(node, dict | list | tuple):
        for value in node.values() if isinstance(node, dict) else node:
            found += kinds(value)
    return found


def dataset(kind: Any, *steps: Any) -> dict[str, Any]:
    return dict(type=kind, ann_file='a.json', pipeline=[dict(type=step) for step in steps])


def test_wherever_and_however_they_are_named() -> None:
    branches = [[dict(type=f'mmdet.{LOADER}'), dict(type='Resize')], [dict(type='RandomFlip')]]
    config = Config(
        dict(
            default_scope='mmdet',
            train_dataloader=dict(
                dataset=dict(
                    type='ConcatDataset',
                    datasets=[
                        dataset('CocoPanopticDataset', LOADER),
                        dataset(CocoPanopticDataset, f'mmdet.datasets.transforms.{LOADER}'),
                        dict(_scope_='mmdet', **dataset('mmdet.CocoPanopticDataset')),
                    ],
                )
            ),
            tta_pipeline=[dict(type='TestTimeAug', transforms=branches)],
            val_evaluator=[dict(type=CocoPanopticMetric, nproc=4), dict(type='CocoMetric')],
            test_evaluator=dict(metrics=[dict(type='mmdet.CocoPanopticMetric', classwise=True)]),
        )
    )
    said = use_own_panoptic_classes(config)
    assert said is not None and 'panopticapi' in said and '\n' not in said
    rest = ['ConcatDataset', 'TestTimeAug', 'Resize', 'RandomFlip', 'CocoMetric']
    assert sorted(set(kinds(dict(config)))) == sorted({*OURS, *rest})
    assert config.val_evaluator[0] == dict(type='mmext.PanopticQualityMetric')
    assert config.test_evaluator.metrics[0].classwise is True
    assert use_own_panoptic_classes(config) is None  # nothing is left


def test_what_is_of_others_stays() -> None:
    config = Config(
        dict(
            train_dataloader=dict(dataset=dataset('CocoPanopticDataset', 'LoadAnnotations')),
            val_dataloader=dict(
                dataset=dataset('project.CocoPanopticDataset', f'project.{LOADER}')
            ),
            test_dataloader=dict(dataset=dict(_scope_='project', **dataset(LOADER))),
        )
    )
    before = config.pretty_text
    assert use_own_panoptic_classes(config) is None
    assert config.pretty_text == before


def test_with_panopticapi_the_host_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'panopticapi.py').touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert (
        use_own_panoptic_classes(Config(dict(val_evaluator=dict(type='CocoPanopticMetric'))))
        is None
    )


def test_every_argument_of_the_metric_is_known_to_ours(tmp_path: Path) -> None:
    given = dict(
        ann_file=None,
        seg_prefix=None,
        classwise=True,
        format_only=True,
        outfile_prefix=str(tmp_path / 'out'),
        nproc=8,
        file_client_args=None,
        backend_args=None,
        collect_device='cpu',
        prefix='own',
    )
    config = Config(dict(test_evaluator=dict(type='CocoPanopticMetric', **given)))
    use_own_panoptic_classes(config)
    metric = METRICS.build(config.test_evaluator)
    assert (metric.classwise, metric.format_only, metric.prefix) == (True, True, 'own')
    config = Config(dict(test_evaluator=dict(type='CocoPanopticMetric', file_client_args={'a': 1})))
    with pytest.raises(InputError, match=r'test_evaluator\.file_client_args .* backend_args'):
        use_own_panoptic_classes(config)


def test_ade20k_keeps_its_classes() -> None:
    config = load_config('mmdet::_base_/datasets/ade20k_panoptic.py')
    use_own_panoptic_classes(config)
    built = DATASETS.build({**config.val_dataloader.dataset, 'lazy_init': True, 'pipeline': []})
    assert built.metainfo['classes'] == ADE20KPanopticDataset.METAINFO['classes']
    assert built.metainfo['thing_classes'] == ADE20KPanopticDataset.METAINFO['thing_classes']


def test_quality_is_that_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's own counting, with a stand-in for the counters that it takes from panopticapi."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / 'metrics')
    import panoptic_set as generated

    samples = generated.write_set(tmp_path)
    metric = METRICS.build(
        dict(
            type='mmext.PanopticQualityMetric',
            ann_file=str(tmp_path / 'panoptic.json'),
            seg_prefix=str(tmp_path / 'png'),
            outfile_prefix=str(tmp_path / 'out'),
        )
    )
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = generated.META
    evaluator.process(samples)
    values = evaluator.evaluate(len(samples))
    counters: Any = defaultdict(lambda: SimpleNamespace(iou=0.0, tp=0, fp=0, fn=0))
    monkeypatch.setattr(panoptic_utils, 'PQStat', lambda: counters)
    monkeypatch.setattr(
        panoptic_utils, 'rgb2id', lambda rgb: rgb.astype(np.int64) @ [1, 256, 256**2]
    )
    truth, found = (
        json.loads((tmp_path / name).read_text()) for name in ('panoptic.json', 'out.panoptic.json')
    )
    for annotation in found['annotations']:
        annotation['segments_info'] = [s for s in annotation['segments_info'] if s['id']]
    by_id = {a['image_id']: a for a in found['annotations']}
    panoptic_utils.pq_compute_single_core(
        0,
        [(a, by_id[a['image_id']]) for a in truth['annotations']],
        str(tmp_path / 'png'),
        str(tmp_path / 'out.panoptic'),
        {c['id']: c for c in truth['categories']},
    )
    qualities = {k: c.iou / (c.tp + (c.fp + c.fn) / 2) for k, c in counters.items()}
    things = [c['id'] for c in truth['categories'] if c['isthing']]
    for name, ids in (('PQ', list(qualities)), ('PQ_th', things)):
        expected = 100 * np.mean([qualities[i] for i in ids])
        assert values[f'coco_panoptic/{name}'] == pytest.approx(expected, rel=1e-9)
    assert 5 < values['coco_panoptic/PQ'] < 95
