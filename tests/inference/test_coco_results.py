"""Results in COCO's formats: ids, boxes, masks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from pycocotools import mask as rle

from mmext.formats.panoptic_files import decode_id_png
from mmext.inference.coco_results import ResultsWriter, category_table
from mmext.inference.media import Frame

CATEGORIES = [
    dict(id=17, name='cat', isthing=1),
    dict(id=18, name='dog', isthing=1),
    dict(id=1, name='sky', isthing=0),
]


def test_writes_what_the_model_predicts(tmp_path: Path) -> None:
    masks = torch.zeros(1, 4, 6, dtype=torch.bool)
    masks[0, 1:3, 2:5] = True
    panoptic = torch.full((1, 4, 6), 2)  # label 2: sky
    panoptic[0, 1:3, 2:5] = 1 + 3000  # the third dog
    panoptic[0, 3] = len(CATEGORIES)  # void
    sample = DetDataSample(
        pred_panoptic_seg=PixelData(sem_seg=panoptic),
        pred_instances=InstanceData(
            bboxes=torch.tensor([[2.0, 1.0, 5.0, 3.0]]),
            labels=torch.tensor([1]),
            scores=torch.tensor([0.5]),
            masks=masks,
        ),
    )
    frame = Frame('dogs/a b.jpg', 'dogs/a b.jpg', np.zeros((4, 6, 3), np.uint8))
    writer = ResultsWriter(tmp_path, CATEGORIES)
    writer.write(frame, sample)
    writer.close()

    content = json.loads((tmp_path / 'predictions.instances.json').read_text())
    assert content['categories'] == CATEGORIES
    assert content['images'] == [
        dict(id='dogs/a b.jpg', file_name='dogs/a b.jpg', height=4, width=6)
    ]
    (instance,) = content['annotations']
    assert (rle.decode(instance.pop('segmentation')) == masks[0].numpy()).all()
    assert instance == dict(
        id=1, image_id='dogs/a b.jpg', category_id=18, bbox=[2, 1, 3, 2], score=0.5
    )

    content = json.loads((tmp_path / 'predictions.panoptic.json').read_text())
    assert content['categories'] == CATEGORIES
    (image,) = content['annotations']
    assert image['image_id'] == 'dogs/a b.jpg'
    png = (tmp_path / 'predictions.panoptic' / image['file_name']).read_bytes()
    ids = decode_id_png(png, image['file_name'])
    segments = {segment['category_id']: segment for segment in image['segments_info']}
    assert {key: item['area'] for key, item in segments.items()} == {1: 12, 18: 6}
    assert ((ids == segments[18]['id']) == masks[0].numpy()).all()
    assert (ids[3] == 0).all()


def test_boxes_without_masks_and_no_objects(tmp_path: Path) -> None:
    empty = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=int), scores=torch.zeros(0)
    )
    writer = ResultsWriter(tmp_path, CATEGORIES)
    writer.write(
        Frame(1, '1.jpg', np.zeros((4, 6, 3), np.uint8)), DetDataSample(pred_instances=empty)
    )
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ['predictions.instances.json']
    content = json.loads((tmp_path / 'predictions.instances.json').read_text())
    assert content['annotations'] == [] and len(content['images']) == 1


@pytest.mark.parametrize(
    ('names', 'ids'), [(('b', 'a'), [90, 4]), (('b', 'c'), [1, 2])], ids=['known', 'unknown']
)
def test_category_ids(names: tuple[str, ...], ids: list[int], tmp_path: Path) -> None:
    """Of the annotation file if it has all the classes, in the order of the labels."""
    categories = [dict(id=4, name='a'), dict(id=90, name='b'), dict(id=5, name='other')]
    (tmp_path / 'ann.json').write_text(json.dumps(dict(categories=categories)))
    dataset = dict(type='X', data_root=str(tmp_path), ann_file='ann.json')
    config = Config(dict(test_dataloader=dict(dataset=dataset)))
    table = category_table(config, names, frozenset('b'))
    assert [item['id'] for item in table] == ids
    assert [item['isthing'] for item in table] == [1, 0]
    assert [item['id'] for item in category_table(Config(), names, frozenset())] == [1, 2]


def test_pictures_of_one_name_keep_their_surfaces(tmp_path: Path) -> None:
    writer = ResultsWriter(tmp_path, CATEGORIES)
    for part, name in enumerate(('a.jpg', 'a.png', 'b/a.png', 'a.b.png'), 1):
        sample = DetDataSample(
            pred_instances=InstanceData(
                bboxes=torch.tensor([[0.0, 0.0, 2.0, 1.0]]),
                labels=torch.tensor([0]),
                scores=torch.tensor([0.5]),
                surface=[np.full((3, 1, 2), part, np.uint8)],
                surface_boxes=torch.tensor([[0, 0, 2, 1]]),
            )
        )
        writer.write(Frame(name, name, np.zeros((4, 6, 3), np.uint8)), sample)
    folder = tmp_path / 'predictions.surfaces'
    parts = {}
    for file in sorted(folder.rglob('*.npz')):
        with np.load(file) as stored:
            parts[file.relative_to(folder).as_posix()] = int(stored['surface_0'][0, 0, 0])
    assert parts == {'a.npz': 1, 'a.png.npz': 2, 'b/a.npz': 3, 'a.b.npz': 4}
    pictures = {path.relative_to(folder).as_posix() for path in folder.rglob('*.png')}
    assert pictures == {'a.png', 'a.png.png', 'b/a.png', 'a.b.png'}
