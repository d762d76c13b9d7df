"""Order and places of frames, ids of objects, pairs, sparse labels, bad files."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmext.demo.categories import METAINFO
from mmext.registry import DATASETS
from mmext.vpsnet.dataset import CityscapesVPSDataset, VideoPanopticDataset


def build(root: Path, split: str = 'train', ann_file: str | None = None, **config: Any):
    return DATASETS.build(
        dict(
            type='mmext.VideoPanopticDataset',
            data_root=str(root),
            ann_file=ann_file or f'annotations/panoptic_{split}.json',
            data_prefix=dict(img=f'{split}/', seg=f'annotations/panoptic_{split}/'),
            metainfo=dict(METAINFO),
            **config,
        )
    )


def changed_file(root: Path, folder: Path, change) -> str:
    """The training file of the set after ``change(content)``."""
    content = json.loads((root / 'annotations/panoptic_train.json').read_text())
    change(content)
    path = folder / 'changed.json'
    path.write_text(json.dumps(content))
    return str(path)


def test_frames_stand_in_the_order_of_their_videos(video_root: Path) -> None:
    dataset = build(video_root)
    content = json.loads((video_root / 'annotations/panoptic_train.json').read_text())
    frames = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert len(frames) == len(content['images'])
    expected = [(i['id'], i['video_id'], i['frame_id']) for i in content['images']]
    assert [(f['img_id'], f['video_id'], f['frame_id']) for f in frames] == expected
    lengths = Counter(i['video_id'] for i in content['images'])
    assert all(f['video_length'] == lengths[f['video_id']] for f in frames)


def test_the_order_of_the_file_does_not_matter_and_numbers_may_have_gaps(
    video_root: Path, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        content['images'].sort(key=lambda i: -i['frame_id'])
        for image in content['images']:
            image['frame_id'] = 5 * image['frame_id'] + 4

    shuffled = build(video_root, ann_file=changed_file(video_root, tmp_path, change))
    dataset = build(video_root)
    found, expected = (
        [{**d.get_data_info(i), 'sample_idx': None} for i in range(len(d))]
        for d in (shuffled, dataset)
    )
    found.sort(key=lambda frame: frame['video_id'])  # stable: a video stays as it is
    assert found == expected


def test_an_object_keeps_its_id_and_class(video_root: Path) -> None:
    dataset = build(video_root)
    labels, frames_of = defaultdict(set), Counter()
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        for instance in info['instances']:
            assert instance['instance_id'] == instance['segment_id']
            labels[info['video_id'], instance['instance_id']].add(instance['bbox_label'])
            frames_of[info['video_id'], instance['instance_id']] += 1
    assert all(len(of_object) == 1 for of_object in labels.values())
    assert max(frames_of.values()) > 4 and min(frames_of.values()) < 6  # some come or go


@pytest.mark.parametrize('reach', [1, 2])
def test_references_are_near_frames_of_the_same_video(video_root: Path, reach: int) -> None:
    dataset = build(video_root, reference_range=reach, pipeline=[])
    np.random.seed(0)
    distances = Counter()
    for _ in range(20):
        for i in range(len(dataset)):
            pair = dataset[i]
            reference = pair['reference']
            assert reference['video_id'] == pair['video_id']
            distance = reference['frame_id'] - pair['frame_id']
            distances[distance] += 1
            last = pair['video_length'] - 1
            if pair['frame_id'] in (0, last) and reach == 1:
                assert distance == (1 if pair['frame_id'] == 0 else -1)
    assert set(distances) == set(range(-reach, reach + 1)) - {0}
    assert min(distances.values()) > 0.6 * max(distances.values())  # both sides alike


def test_a_video_of_one_frame_is_its_own_reference(video_root: Path, tmp_path: Path) -> None:
    def keep_first(content: dict[str, Any]) -> None:
        content['images'] = [i for i in content['images'] if i['frame_id'] == 0]

    dataset = build(
        video_root, ann_file=changed_file(video_root, tmp_path, keep_first), pipeline=[]
    )
    pair = dataset[1]
    assert pair['reference']['img_id'] == pair['img_id']


def test_single_frames_for_image_models_and_tests(video_root: Path) -> None:
    assert 'reference' not in build(video_root, reference_range=0, pipeline=[])[0]
    assert 'reference' not in build(video_root, test_mode=True, pipeline=[])[0]


def test_models_run_on_all_frames_and_learn_from_the_labelled(
    video_root: Path, tmp_path: Path
) -> None:
    def label_every_third(content: dict[str, Any]) -> None:
        kept = {i['id'] for i in content['images'] if i['frame_id'] % 3 == 2}
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] in kept]

    ann_file = changed_file(video_root, tmp_path, label_every_third)
    everything = build(video_root, ann_file=ann_file, test_mode=True, pipeline=[])
    assert len(everything) == len(build(video_root))
    labelled = [i for i in range(len(everything)) if everything[i]['seg_map_path'] is not None]
    assert {everything[i]['frame_id'] for i in labelled} == {2, 5}
    training = build(video_root, ann_file=ann_file, pipeline=[])
    pairs = [training[i] for i in range(len(training))]
    assert [p['img_id'] for p in pairs] == [everything[i]['img_id'] for i in labelled]
    # the next labelled frame, three frames away
    assert {abs(p['frame_id'] - p['reference']['frame_id']) for p in pairs} == {3}


def test_cityscapes_has_its_classes() -> None:
    meta = CityscapesVPSDataset.METAINFO
    assert len(meta['thing_classes']) == 8 and len(meta['stuff_classes']) == 11
    assert issubclass(CityscapesVPSDataset, VideoPanopticDataset)


@pytest.mark.parametrize('key', ['video_id', 'frame_id'])
def test_files_of_single_images_are_refused(video_root: Path, tmp_path: Path, key: str) -> None:
    ann_file = changed_file(video_root, tmp_path, lambda c: c['images'][3].pop(key))
    with pytest.raises(ValueError, match=f'image 1003 has no {key}; is it an annotation file of'):
        build(video_root, ann_file=ann_file)


def test_two_frames_of_one_number_are_refused(video_root: Path, tmp_path: Path) -> None:
    ann_file = changed_file(video_root, tmp_path, lambda c: c['images'][3].update(frame_id=1))
    with pytest.raises(ValueError, match=r'video 1 has two frames .*: frame_id \[1\]'):
        build(video_root, ann_file=ann_file)


def test_no_labels_to_learn_from(video_root: Path, tmp_path: Path) -> None:
    ann_file = changed_file(video_root, tmp_path, lambda c: c.update(annotations=[]))
    with pytest.raises(ValueError, match=r'nothing to learn: train: .* objects: 0 annotated'):
        build(video_root, ann_file=ann_file)
    assert len(build(video_root, ann_file=ann_file, test_mode=True)) > 20


def test_refused_range(video_root: Path) -> None:
    with pytest.raises(ValueError, match='reference_range: expected at least 0, got -1'):
        build(video_root, reference_range=-1)
