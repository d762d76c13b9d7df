"""Objects as vectors, vectors on a plane, and memory that does not grow."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError
from mmext.explain.embedding import embed, embedding_source
from mmext.explain.explainer import Explainer
from mmext.explain.object_index import IndexWriter, ObjectIndex
from mmext.explain.projection import project, sampled, spread_out
from mmext.explain.truth import picture_facts

MEASURE = """
import resource, sys, torch
from mmext.explain.random_masks import MaskEffects, mask_blocks
torch.set_num_threads(1)
effects = MaskEffects(0.5)
for masks in mask_blocks(int(sys.argv[1]), 20, (160, 160), 8, 0.5, 0):
    effects.add(masks, masks.mean((1, 2))[:, None].repeat(1, 3))
effects.covariance()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize('name', ['faster', 'retina'])
def test_a_box_is_the_same_vector_whatever_else_is_asked(
    name: str, predictors: Any, picture: np.ndarray
) -> None:
    explainer = Explainer(predictors[name])
    boxes = np.array([(4.0, 4, 30, 30), (40, 10, 70, 44), (4, 4, 30, 30)])
    with explainer.network.undisturbed():
        prepared = explainer.network.prepare(picture)
        vectors = embed(explainer.network, prepared, boxes)
        alone = embed(explainer.network, prepared, boxes[1:2])
        assert embed(explainer.network, prepared, boxes[:0]).shape[0] == 0
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0].tolist() == vectors[2].tolist()
    assert vectors[1] == pytest.approx(alone[0], abs=1e-5)
    assert abs(vectors[0] - vectors[1]).max() > 1e-3
    assert ('fc_cls' in embedding_source(explainer.network)) == (name == 'faster')


def test_crops_have_no_regions_of_the_picture() -> None:
    model = type('CropLandmarkEstimator', (torch.nn.Module,), {})()
    network: Any = SimpleNamespace(model=model)
    with pytest.raises(InputError, match='CropLandmarkEstimator: its features are of crops'):
        embedding_source(network)


def test_an_index_of_another_detector_is_begun_anew(tmp_path: Any) -> None:
    vectors = np.eye(3, dtype=np.float32)
    records = [dict(image='a.jpg', box=[0, 0, i + 1, 1]) for i in range(3)]
    writer = IndexWriter(tmp_path, dict(detector='A', classes=['x']))
    writer.add(vectors, records)
    assert IndexWriter(tmp_path, dict(detector='A', classes=['x'])).pictures == 1
    index = ObjectIndex(tmp_path)
    rows, cosines = index.nearest(vectors[:1], 2)
    assert rows[0, 0] == 0
    assert cosines[0].tolist() == [1, 0]
    assert index.places_of('a.jpg', np.array([(0.0, 0, 2, 1)])) == [[1]]
    assert index.places_of('b.jpg', np.array([(0.0, 0, 2, 1)])) == [[]]
    with pytest.raises(InputError, match='it was made by another one'):
        index.nearest(np.ones((1, 5)), 1)
    assert IndexWriter(tmp_path, dict(detector='B', classes=['x'])).pictures == 0
    assert ObjectIndex(tmp_path).count == 0


@pytest.mark.parametrize(
    ('file', 'content'),
    [
        ('meta.json', '{'),
        ('meta.json', '{}'),
        ('meta.json', '[]'),
        ('objects.jsonl', 'x\n'),
        ('objects.jsonl', None),
        ('vectors.f16', None),
    ],
)
def test_a_damaged_index(file: str, content: str | None, tmp_path: Any) -> None:
    facts = dict(detector='A', classes=['x'])
    IndexWriter(tmp_path, facts).add(np.eye(1, dtype=np.float32), [dict(image='a.jpg', box=[])])
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=r'the index is damaged .* make it again'):
        ObjectIndex(tmp_path)
    assert IndexWriter(tmp_path, facts).pictures == 0
    assert ObjectIndex(tmp_path).count == 0


@pytest.mark.parametrize('kind', ['tsne', 'pca'])
def test_groups_stay_together_on_a_plane(kind: str) -> None:
    rng = np.random.default_rng(0)
    centers = 20 * rng.normal(size=(3, 12))
    vectors = np.concatenate([center + rng.normal(size=(12, 12)) for center in centers])
    plane = project(vectors, kind, seed=0)
    assert plane.points_xy.min() == 0
    assert plane.points_xy.max() == 1
    group = np.repeat(range(3), 12)
    distance = np.linalg.norm(plane.points_xy[:, None] - plane.points_xy[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (group[distance.argmin(1)] == group).all()
    assert plane.trustworthiness > 0.8
    again = project(vectors, kind, seed=0)
    assert np.array_equal(plane.points_xy, again.points_xy)
    with pytest.raises(InputError, match='a plot needs 5'):
        project(vectors[:4], kind, 0)


def test_samples_are_in_proportion() -> None:
    groups = ['a'] * 80 + ['b'] * 18 + ['c'] * 2
    kept = sampled(groups, 20, seed=0)
    counts = [sum(groups[i] == name for i in kept) for name in 'abc']
    assert counts == [16, 4, 1]
    assert kept.tolist() == sorted(kept)
    assert sampled(groups, 100, 0).tolist() == list(range(100))


def test_crops_do_not_lie_on_each_other() -> None:
    points = np.array([(0.0, 0), (0.05, 0), (0.5, 0.5), (0.5, 0.59), (0.9, 0.1)])
    assert spread_out(points, 0.1, 10) == [0, 2, 4]
    assert spread_out(points, 0.1, 2) == [0, 2]


def test_memory_does_not_grow_with_the_masks(run_to_end: Any) -> None:
    used = []
    for count in (100, 1000):
        done = run_to_end([sys.executable, '-c', MEASURE, count])
        assert done.returncode == 0, done.stderr
        used.append(int(done.stdout))
    assert abs(used[1] - used[0]) < 50_000, 'KB'


def test_a_corrected_label_is_another_data_set(tmp_path: Path) -> None:
    write_panoptic_dataset(tmp_path / 'set', num_train=1, num_val=2, image_size=(64, 64))
    file = tmp_path / 'set' / 'annotations' / 'instances_val2017.json'
    dataset = dict(
        type='mmext.CocoDataset',
        data_root=f'{tmp_path / "set"}/',
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        metainfo=dict(classes='auto'),
        test_mode=True,
    )
    config = Config(dict(val_dataloader=dict(dataset=dataset)))
    before = picture_facts(config, 'val')
    assert before == picture_facts(config, 'val') and before['of_pictures'] == 2
    assert picture_facts(config, 'val', 1)['data_sha256'] != before['data_sha256']
    content = json.loads(file.read_text())
    content['annotations'][0]['category_id'] = 1 + content['annotations'][0]['category_id'] % 2
    file.write_text(json.dumps(content))
    after = picture_facts(config, 'val')
    assert after['of_pictures'] == 2 and after['data_sha256'] != before['data_sha256']
