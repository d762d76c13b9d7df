"""The metric through mmengine's evaluator: sources, ranks, files, errors."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from metric_runs import evaluate_metric, from_file
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from panoptic_set import CATEGORY_IDS, META, VOID, write_set

from mmext.registry import METRICS

MEASURES = [m + group for group in ('', '_th', '_st') for m in ('PQ', 'SQ', 'RQ')]


@pytest.fixture
def samples(tmp_path: Path) -> list[dict[str, Any]]:
    return write_set(tmp_path)


def evaluate(samples: list[dict[str, Any]], meta=META, **config) -> dict[str, float]:
    return evaluate_metric('mmext.PanopticQualityMetric', samples, meta, **config)


def truth_as_prediction(sample: dict[str, Any]) -> dict[str, Any]:
    bgr = cv2.imread(sample['seg_map_path']).astype(int)
    ids = bgr @ [65536, 256, 1]
    pred = np.full(ids.shape, VOID)
    for number, segment in enumerate(sample['segments_info']):
        pred[ids == segment['id']] = segment['category'] + 1000 * number
    return {**sample, 'pred_panoptic_seg': {'sem_seg': torch.from_numpy(pred)[None]}}


def test_the_sources_of_the_truth_agree(tmp_path: Path, samples) -> None:
    values = evaluate(samples)
    assert list(values) == [f'coco_panoptic/{m}' for m in MEASURES]
    assert 20 < values['coco_panoptic/PQ'] < 95
    assert evaluate(samples, **from_file(tmp_path)) == values
    of_mmdet = [
        {**s, 'segments_info': [{k: v for k, v in i.items() if k != 'iscrowd'} for i in infos]}
        for s in samples
        for infos in [s['segments_info']]
    ]
    assert evaluate(of_mmdet) == values


def test_crowds_matter(samples) -> None:
    for sample in samples:
        sample['segments_info'] = [
            {**s, 'iscrowd': False, 'is_thing': s['category'] < 2} for s in sample['segments_info']
        ]
    no_crowds = evaluate(samples)
    assert no_crowds != evaluate(write_set(Path(samples[0]['seg_map_path']).parents[1] / 'again'))


def test_truth_as_prediction_is_100(tmp_path: Path, samples) -> None:
    perfect = [truth_as_prediction(s) for s in samples]
    assert set(evaluate(perfect, **from_file(tmp_path)).values()) == {100.0}


def test_data_samples_of_the_host(samples) -> None:
    """As the runner hands them over: DetDataSample with meta information."""
    packed = []
    for sample in samples:
        meta = {k: v for k, v in sample.items() if k != 'pred_panoptic_seg'}
        data_sample = DetDataSample(metainfo=meta)
        data_sample.pred_panoptic_seg = PixelData(**sample['pred_panoptic_seg'])
        packed.append(data_sample)
    assert evaluate(packed) == evaluate(samples)


def test_order_and_repetition_do_not_matter(samples) -> None:
    values = evaluate(samples, classwise=True)
    assert evaluate(samples[::-1], classwise=True) == values
    assert evaluate([*samples, *samples[1:3]], classwise=True) == values
    assert evaluate(samples[:-1], classwise=True) != values


def test_inputs_stay_as_they_are(samples) -> None:
    before = [s['pred_panoptic_seg']['sem_seg'].clone() for s in samples]
    evaluate(samples)
    assert all(
        (s['pred_panoptic_seg']['sem_seg'] == b).all() for s, b in zip(samples, before, strict=True)
    )


def test_nothing_predicted(samples) -> None:
    for sample in samples:
        sample['pred_panoptic_seg']['sem_seg'].fill_(VOID)
    assert set(evaluate(samples).values()) == {0.0}


def test_nothing_to_find(samples) -> None:
    for sample in samples:
        height, width = sample['pred_panoptic_seg']['sem_seg'].shape[1:]
        cv2.imwrite(sample['seg_map_path'], np.zeros((height, width, 3), np.uint8))
        sample['segments_info'] = []
    assert all(map(math.isnan, evaluate(samples).values()))


def test_ignore_index_of_the_prediction_is_void(samples) -> None:
    values = evaluate(samples)
    for sample in samples:
        prediction = sample['pred_panoptic_seg']
        prediction['sem_seg'][prediction['sem_seg'] == VOID] = 255
        prediction['ignore_index'] = 255
    assert evaluate(samples) == values


def test_metric_serves_several_epochs(samples) -> None:
    evaluator = Evaluator(METRICS.build({'type': 'mmext.PanopticQualityMetric'}))
    evaluator.dataset_meta = META
    values = []
    for _ in range(2):
        evaluator.process(samples)
        values.append(evaluator.evaluate(len(samples)))
    assert values[0] == values[1]


def test_classwise_explains_the_average(samples) -> None:
    values = evaluate(samples, classwise=True, prefix='val')
    pq = [values[f'val/PQ/{name}'] for name in META['classes']]
    assert values['val/PQ'] == pytest.approx(np.mean(pq))
    assert values['val/PQ_th'] == pytest.approx(np.mean(pq[:2]))
    assert values['val/PQ_st'] == pytest.approx(np.mean(pq[2:]))


def test_hotcoco_agrees(tmp_path: Path, samples) -> None:
    pytest.importorskip('hotcoco')
    config = {'classwise': True, 'outfile_prefix': str(tmp_path / 'out'), **from_file(tmp_path)}
    ours, theirs = (evaluate(samples, backend=b, **config) for b in ('numpy', 'hotcoco'))
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_two_processes_give_the_values_of_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name('evaluate_shard.py')
    ranks = [
        subprocess.Popen([sys.executable, str(script), str(tmp_path), str(rank), '2'])
        for rank in range(2)
    ]
    assert [rank.wait(timeout=400) for rank in ranks] == [0, 0]
    expected = evaluate(write_set(tmp_path / 'alone'), classwise=True)
    of_ranks = [json.loads((tmp_path / f'values.{rank}.json').read_text()) for rank in range(2)]
    lengths = {k: [len(r[k]['indices']) for r in of_ranks] for k in of_ranks[0]}
    assert list(lengths.values()) == [[3, 3], [3, 2], [1, 4], [5, 0]]
    for values in of_ranks:
        assert all(way['values'] == expected for way in values.values())


@pytest.mark.parametrize('has_file', [True, False])
def test_files_in_results_format(has_file: bool, tmp_path: Path, samples) -> None:
    """The category ids are those of the file or, without one, of the data set."""
    meta = META if has_file else {**META, 'category_ids': tuple(CATEGORY_IDS)}
    source = from_file(tmp_path) if has_file else {}
    evaluate(samples, meta, outfile_prefix=str(tmp_path / 'out' / 'run'), **source)
    content = json.loads((tmp_path / 'out' / 'run.panoptic.json').read_text())
    assert [c['id'] for c in content['categories']] == CATEGORY_IDS
    assert len(content['annotations']) == len(samples)  # though the photos share a file name
    for annotation, sample in zip(content['annotations'], samples, strict=True):
        assert annotation['file_name'] == f'{sample["img_id"]:012d}.png'
        bgr = cv2.imread(str(tmp_path / 'out' / 'run.panoptic' / annotation['file_name']))
        ids = bgr.astype(int) @ [65536, 256, 1]
        pred = sample['pred_panoptic_seg']['sem_seg'][0].numpy()
        np.testing.assert_array_equal(ids == 0, pred == VOID)
        for segment in annotation['segments_info']:
            labels = pred[ids == segment['id']]
            assert len(labels) == segment['area'] and len(set(labels)) == 1
            assert CATEGORY_IDS[labels[0] % 1000] == segment['category_id']
        assert len(np.unique(ids[ids > 0])) == len(annotation['segments_info'])


def test_format_only_needs_no_truth(tmp_path: Path, samples) -> None:
    for sample in samples:
        del sample['seg_map_path'], sample['segments_info']
        sample['img_id'] = f'city/{sample["img_id"]}'
    assert evaluate(samples, format_only=True, outfile_prefix=str(tmp_path / 'out')) == {}
    content = json.loads((tmp_path / 'out.panoptic.json').read_text())
    assert content['annotations'][0]['file_name'] == 'city%2F1.png'
    assert {s['category_id'] for a in content['annotations'] for s in a['segments_info']} == {
        0, 1, 2, 3
    }  # fmt: skip


def test_equal_image_ids_cannot_be_written(tmp_path: Path, samples) -> None:
    samples[1]['img_id'] = samples[0]['img_id']
    with pytest.raises(ValueError, match=r'images of equal id share .*000000000001\.png'):
        evaluate(samples, outfile_prefix=str(tmp_path / 'out'))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'backend': 'panopticapi'}, "backend: expected 'numpy' or 'hotcoco'"),
        ({'backend': 'hotcoco'}, 'set ann_file and outfile_prefix'),
        ({'format_only': True}, 'set outfile_prefix'),
    ],
)
def test_refused_settings(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METRICS.build({'type': 'mmext.PanopticQualityMetric', **config})


def test_missing_annotation_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/none.json: check ann_file'):
        evaluate([], ann_file=str(tmp_path / 'none.json'))


def test_other_classes_in_the_file(tmp_path: Path, samples) -> None:
    meta = {**META, 'classes': ['cat', 'cow', 'sky', 'sea'], 'thing_classes': ['cat', 'cow']}
    with pytest.raises(ValueError, match=r"only in the file: 'dog'\n.*only in metainfo: 'cow'"):
        evaluate(samples, meta, **from_file(tmp_path))


def test_bad_samples_are_named(tmp_path: Path, samples) -> None:
    sample = samples[0]
    name = 'scene.1.png'
    segments = sample['segments_info']
    ids = sample['pred_panoptic_seg']['sem_seg']

    def fails(message: str, error: type[Exception] = ValueError, **changes) -> None:
        with pytest.raises(error, match=message):
            evaluate([{**sample, **changes}])

    fails(f'{name}: shape of the prediction', pred_panoptic_seg={'sem_seg': ids[:, 1:]})
    fails('image 1: predicted ids .* void 4', pred_panoptic_seg={'sem_seg': ids + 3})
    fails('image 1: predicted ids', pred_panoptic_seg={'sem_seg': ids - 3})
    fails('expected integers', pred_panoptic_seg={'sem_seg': ids.float()})
    fails('expected integers', pred_panoptic_seg={'sem_seg': ids[0]})
    fails(f'{name}: ids without an entry in segments_info: {segments[0]["id"]}',
          segments_info=segments[1:])  # fmt: skip
    extra = {'id': 77, 'category': 1, 'is_thing': True}
    fails(f'{name}: segments of segments_info without a pixel: 77',
          segments_info=[*segments, extra])  # fmt: skip
    fails('no ground truth: .*meta_keys', segments_info=None)
    fails(f'no ground truth PNG at {tmp_path}/gone.png', FileNotFoundError,
          seg_map_path=str(tmp_path / 'gone.png'))  # fmt: skip
    with pytest.raises(ValueError, match='is the model panoptic'):
        evaluate([{k: v for k, v in sample.items() if k != 'pred_panoptic_seg'}])
    with pytest.raises(ValueError, match=r'panoptic\.json: no annotation of image 99'):
        evaluate([{**sample, 'img_id': 99}], **from_file(tmp_path))
    Path(sample['seg_map_path']).write_bytes(b'')
    fails(f'{name}: not a readable PNG')
