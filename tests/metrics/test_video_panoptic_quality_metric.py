"""The metric through mmengine's evaluator: sources, sparse labels, ranks, files, errors."""

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
from random_videos import slow_video_counts
from video_set import CATEGORY_IDS, META, VOID, write_set

from mmext.metrics.panoptic.video_quality import video_panoptic_quality
from mmext.registry import METRICS

MEANS = [f'V{m}{group}' for group in ('', '_th', '_st') for m in ('PQ', 'SQ', 'RQ')]


@pytest.fixture
def samples(tmp_path: Path) -> list[dict[str, Any]]:
    return write_set(tmp_path)


def evaluate(samples: list[dict[str, Any]], meta=META, **config) -> dict[str, float]:
    return evaluate_metric('mmext.VideoPanopticQualityMetric', samples, meta, **config)


def read_ids(path: Path | str) -> np.ndarray:
    return cv2.imread(str(path)).astype(int) @ [65536, 256, 1]


def slow_values(samples: list[dict[str, Any]], windows: tuple[int, ...]) -> dict[str, float]:
    """The oracle over the files, labelled frames only."""
    total = 0
    for video in ('a', 'b', 'c'):
        frames = []
        for sample in samples:
            if sample['video_id'] == video and sample['seg_map_path'] is not None:
                pred = sample['pred_panoptic_seg']['sem_seg'][0].numpy()
                labels = {int(i): int(i) % 1000 for i in np.unique(pred) if i != VOID}
                frames.append(
                    {
                        'gt_map': read_ids(sample['seg_map_path']),
                        'gt': {s['id']: (s['category'], s['iscrowd'])
                               for s in sample['segments_info']},
                        'pred_map': pred,
                        'pred': labels,
                    }
                )  # fmt: skip
        total = total + slow_video_counts(frames, windows)
    means, by_window = video_panoptic_quality(total, [True, True, False, False])
    return means | {
        f'{m}_k{5 * (w - 1)}': v for w, of in zip(windows, by_window, strict=True)
        for m, v in of.items()
    }  # fmt: skip


def test_values_are_those_of_the_oracle(samples) -> None:
    values = evaluate(samples)
    expected = slow_values(samples, (1, 2, 3, 4))
    assert {k.removeprefix('video_panoptic/') for k in values} == {
        *expected, 'STQ', 'STQ_AQ', 'STQ_SQ', 'STQ_deeplab2', 'STQ_SQ_deeplab2'
    }  # fmt: skip
    for name, value in expected.items():
        assert values[f'video_panoptic/{name}'] == pytest.approx(value, rel=1e-12), name
    assert 10 < values['video_panoptic/VPQ'] < 95
    assert values['video_panoptic/VPQ_th_k15'] < values['video_panoptic/VPQ_th_k0']


def test_the_sources_of_the_truth_agree(tmp_path: Path, samples) -> None:
    assert evaluate(samples, **from_file(tmp_path)) == evaluate(samples)


def test_windows_of_one_frame_are_panoptic_quality(samples) -> None:
    values = evaluate(samples)
    image_metric = METRICS.build({'type': 'mmext.PanopticQualityMetric'})
    evaluator = Evaluator(image_metric)
    evaluator.dataset_meta = META
    labelled = [sample for sample in samples if sample['seg_map_path'] is not None]
    evaluator.process(labelled)
    of_images = evaluator.evaluate(len(labelled))
    for measure in ('PQ', 'SQ', 'RQ'):
        for group in ('', '_th', '_st'):
            ours = values[f'video_panoptic/V{measure}{group}_k0']
            assert ours == pytest.approx(of_images[f'coco_panoptic/{measure}{group}'], rel=1e-12)


def test_windows_and_their_names(samples) -> None:
    values = evaluate(samples, windows=(2, 1), label_interval=1, prefix='val')
    assert [k for k in values if k.startswith('val/VPQ_k')] == ['val/VPQ_k1', 'val/VPQ_k0']
    expected = slow_values(samples, (2, 1))
    assert values['val/VPQ_k1'] == pytest.approx(expected['VPQ_k5'])
    assert values['val/VPQ'] == pytest.approx(expected['VPQ'])


def test_truth_as_prediction_is_100(tmp_path: Path, samples) -> None:
    perfect = []
    for sample in samples:
        if sample['seg_map_path'] is not None:
            ids = read_ids(sample['seg_map_path'])
            pred = np.full(ids.shape, VOID)
            for segment in sample['segments_info']:
                number = segment['id'] * (segment['category'] < 2)
                pred[ids == segment['id']] = segment['category'] + 1000 * number
            sample = {**sample, 'pred_panoptic_seg': {'sem_seg': torch.from_numpy(pred)[None]}}
        perfect.append(sample)
    values = evaluate(perfect, **from_file(tmp_path))
    assert {v for k, v in values.items() if 'STQ' not in k} == {100.0}
    # the crowd is a predicted object of its own there, which costs nothing
    assert values['video_panoptic/STQ'] == pytest.approx(100)


def test_data_samples_of_the_host(samples) -> None:
    """As the runner hands them over: DetDataSample with meta information."""
    packed = []
    for sample in samples:
        meta = {k: v for k, v in sample.items() if k != 'pred_panoptic_seg'}
        data_sample = DetDataSample(metainfo=meta)
        data_sample.pred_panoptic_seg = PixelData(**sample['pred_panoptic_seg'])
        packed.append(data_sample)
    assert evaluate(packed) == evaluate(samples)


def test_a_model_of_single_images_is_worse_over_time(samples) -> None:
    """Other numbers in every frame: the quality of images is the same."""
    tracked = evaluate(samples)
    for position, sample in enumerate(samples):
        ids = sample['pred_panoptic_seg']['sem_seg']
        ids[ids >= 1000] += 100_000 * position
    untracked = evaluate(samples)
    assert untracked['video_panoptic/VPQ_k0'] == tracked['video_panoptic/VPQ_k0']
    assert untracked['video_panoptic/VPQ_st'] == tracked['video_panoptic/VPQ_st']
    assert untracked['video_panoptic/VPQ_th_k5'] < tracked['video_panoptic/VPQ_th_k5'] - 10
    assert untracked['video_panoptic/STQ_AQ'] < tracked['video_panoptic/STQ_AQ'] - 10


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


def test_a_frame_is_reduced_to_its_table(samples) -> None:
    """What is kept of a frame does not grow with its pixels."""
    metric = METRICS.build({'type': 'mmext.VideoPanopticQualityMetric'})
    metric.dataset_meta = META
    metric.process(None, samples)
    for result in metric.results:
        if result.table is not None:
            assert sum(array.nbytes for array in result.table) < 2000 < 30 * 40 * 8
            assert all(array.base is None or array.base.nbytes < 2000 for array in result.table)


def test_nothing_predicted(samples) -> None:
    for sample in samples:
        sample['pred_panoptic_seg']['sem_seg'].fill_(VOID)
    assert set(evaluate(samples).values()) == {0.0}


def test_short_videos_have_no_long_windows(samples) -> None:
    values = evaluate(samples, windows=(1, 6))
    assert values['video_panoptic/VPQ_k0'] > 0
    assert math.isnan(values['video_panoptic/VPQ_k25']) and math.isnan(values['video_panoptic/VPQ'])


def test_metric_serves_several_epochs(samples) -> None:
    evaluator = Evaluator(METRICS.build({'type': 'mmext.VideoPanopticQualityMetric'}))
    evaluator.dataset_meta = META
    values = []
    for _ in range(2):
        evaluator.process(samples)
        values.append(evaluator.evaluate(len(samples)))
    assert values[0] == values[1]


def test_classwise_explains_the_average(samples) -> None:
    values = evaluate(samples, classwise=True, prefix='val')
    of_classes = [values[f'val/VPQ/{name}'] for name in META['classes']]
    assert values['val/VPQ'] == pytest.approx(np.mean(of_classes))
    assert values['val/VPQ_th'] == pytest.approx(np.mean(of_classes[:2]))


def test_two_processes_give_the_values_of_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name('evaluate_video_shard.py')
    ranks = [
        subprocess.Popen([sys.executable, str(script), str(tmp_path), str(rank), '2'])
        for rank in range(2)
    ]
    assert [rank.wait(timeout=400) for rank in ranks] == [0, 0]
    expected = evaluate(write_set(tmp_path / 'alone'), classwise=True)
    of_ranks = [json.loads((tmp_path / f'values.{rank}.json').read_text()) for rank in range(2)]
    for values in of_ranks:
        assert set(values) == {'whole videos', 'frames in turn', 'all and none', 'repeated'}
        assert all(way == expected for way in values.values())


def test_files_in_the_submission_format(tmp_path: Path, samples) -> None:
    folder = tmp_path / 'out' / 'run'
    evaluate(samples, outfile_prefix=str(folder), **from_file(tmp_path))
    content = json.loads((folder / 'pred.json').read_text())
    assert [c['id'] for c in content['categories']] == CATEGORY_IDS
    labelled = [s for s in sorted(samples, key=lambda s: (s['video_id'], s['frame_id']))
                if s['seg_map_path'] is not None]  # fmt: skip
    assert [a['image_id'] for a in content['annotations']] == [s['img_id'] for s in labelled]
    for annotation, sample in zip(content['annotations'], labelled, strict=True):
        assert annotation['file_name'] == f'{sample["img_id"]}.png'
        ids = read_ids(folder / 'pan_pred' / annotation['file_name'])
        pred = sample['pred_panoptic_seg']['sem_seg'][0].numpy()
        np.testing.assert_array_equal(ids == 0, pred == VOID)
        assert len(np.unique(ids[ids > 0])) == len(annotation['segments_info'])
        for segment in annotation['segments_info']:
            inside = ids == segment['id']
            (value,) = np.unique(pred[inside])
            assert segment['area'] == inside.sum() and segment['iscrowd'] == 0
            assert segment['category_id'] == CATEGORY_IDS[value % 1000]
            assert segment['id'] == (value if value >= 1000 else value + 1)
            x, y, w, h = segment['bbox']
            assert inside[y : y + h, x : x + w].sum() == inside.sum()
            assert inside[y].any() and inside[:, x].any()
            assert inside[y + h - 1].any() and inside[:, x + w - 1].any()


def test_format_only_needs_no_truth(tmp_path: Path, samples) -> None:
    for sample in samples:
        sample['seg_map_path'] = None
        del sample['segments_info']
    for sample in samples:
        sample['frame_id'] //= 10  # the place in the video

    def written(interval: int) -> list[int]:
        config = {'outfile_prefix': str(tmp_path / 'out'), 'label_interval': interval}
        assert evaluate(samples, format_only=True, **config) == {}
        content.update(json.loads((tmp_path / 'out' / 'pred.json').read_text()))
        return [a['image_id'] for a in content['annotations']]

    content: dict[str, Any] = {}
    assert written(2) == [s['img_id'] for v in 'abc' for s in samples
                          if s['video_id'] == v and s['frame_id'] in (1, 3)]  # fmt: skip
    with pytest.raises(ValueError, match='none of 12 frames was written'):
        written(6)
    assert len(written(1)) == len(samples)
    assert {s['category_id'] for a in content['annotations'] for s in a['segments_info']} == {
        0, 1, 2, 3
    }  # fmt: skip


def test_videos_are_written_in_the_order_of_their_numbers(tmp_path: Path, samples) -> None:
    """Files without ids are paired by position: video 9 comes before video 10."""
    for sample in samples:
        sample['video_id'] = {'a': 9, 'b': 10, 'c': 11}[sample['video_id']]
    evaluate(samples, outfile_prefix=str(tmp_path / 'out'))
    content = json.loads((tmp_path / 'out' / 'pred.json').read_text())
    video_of = {s['img_id']: s['video_id'] for s in samples}
    videos = [video_of[a['image_id']] for a in content['annotations']]
    assert videos == sorted(videos)


def test_results_speak_the_category_ids_of_the_data_set(tmp_path: Path, samples) -> None:
    evaluate(samples, {**META, 'category_ids': CATEGORY_IDS}, outfile_prefix=str(tmp_path / 'a'))
    evaluate(samples, outfile_prefix=str(tmp_path / 'b'), **from_file(tmp_path))
    a, b = ((tmp_path / name / 'pred.json').read_text() for name in 'ab')
    assert a == b


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'windows': ()}, 'windows: expected'),
        ({'windows': (0,)}, 'windows: expected'),
        ({'label_interval': 0}, 'label_interval: expected at least 1, got 0'),
        ({'format_only': True}, 'set outfile_prefix'),
    ],
)
def test_refused_settings(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METRICS.build({'type': 'mmext.VideoPanopticQualityMetric', **config})


def test_missing_annotation_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/none.json: check ann_file'):
        evaluate([], ann_file=str(tmp_path / 'none.json'))


def test_two_videos_of_one_id_are_refused(samples) -> None:
    samples[7]['video_id'] = samples[0]['video_id']
    samples[7]['frame_id'] = samples[0]['frame_id']
    with pytest.raises(ValueError, match="images 1 and 8 are both frame 0 of video 'b'"):
        evaluate(samples)


def test_no_labelled_frame(samples) -> None:
    for sample in samples:
        sample['seg_map_path'] = None
    with pytest.raises(ValueError, match='none of 12 frames has a ground truth'):
        evaluate(samples)


def test_bad_samples_are_named(tmp_path: Path, samples) -> None:
    sample = samples[0]
    ids = sample['pred_panoptic_seg']['sem_seg']

    def fails(message: str, error: type[Exception] = ValueError, **changes) -> None:
        with pytest.raises(error, match=message):
            evaluate([{**sample, **changes}])

    fails('image 1: no video_id and frame_id', video_id=None)
    fails('image 1: no video_id and frame_id', frame_id=None)
    fails('shape of the prediction', pred_panoptic_seg={'sem_seg': ids[:, 1:]})
    fails('predicted ids .* void 4', pred_panoptic_seg={'sem_seg': ids + 3})
    extra = [*sample['segments_info'], {'id': 77, 'category': 1, 'is_thing': True}]
    fails('segments of segments_info without a pixel: 77', segments_info=extra)
    fails('no ground truth PNG at', FileNotFoundError, seg_map_path=str(tmp_path / 'gone.png'))
    fails('no ground truth: .*meta_keys', segments_info=None)
