"""Results: arrays, table, drawing, and the records of other tools, against cases by hand."""

import importlib.util
import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from PIL import Image
from pycocotools import mask as rle

from mmext.errors import MissingPackageError
from mmext.inference.result import Result

META = dict(
    classes=('cat', 'dog', 'sky'),
    thing_classes=('cat', 'dog'),
    attributes=[
        dict(name='hat', values=('no', 'yes'), kind='binary'),
        dict(name='age', values=('young', 'old'), kind='ordinal'),
    ],
)
HEIGHT, WIDTH = 40, 80


def result(**fields: Any) -> Result:
    """Two objects: a dog of score .9 and a cat of score .2."""
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[10.0, 5, 30, 25], [40, 10, 80, 40]]),
        scores=torch.tensor([0.9, 0.2]),
        labels=torch.tensor([1, 0]),
        **fields,
    )
    return Result(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), sample, META, 'street.jpg')


def masks() -> torch.Tensor:
    covered = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    covered[0, 5:25, 10:30] = True
    covered[1, 10:40, 40:80] = True
    return covered


def test_objects_as_arrays_and_table() -> None:
    found = result()
    assert len(found) == 2 and found.names == ['dog', 'cat']
    assert found.boxes_xyxy.tolist() == [[10, 5, 30, 25], [40, 10, 80, 40]]
    assert found.masks is None and found.keypoints is None and found.segments == []
    lines = str(found).splitlines()
    assert lines[0] == 'Result(street.jpg, 80 x 40 px, 2 objects)'
    assert lines[1].split() == ['class', 'score', 'left', 'top', 'right', 'bottom']
    assert lines[2].split() == ['dog', '0.900', '10', '5', '30', '25']
    certain = found.above(0.5)
    assert certain.names == ['dog'] and len(found) == 2
    assert repr(certain) == 'Result(street.jpg, 80 x 40 px, 1 object)'


def test_nothing_found() -> None:
    empty = result().above(1.1)
    assert len(empty) == 0 and empty.boxes_xyxy.shape == (0, 4)
    assert str(empty) == 'Result(street.jpg, 80 x 40 px, 0 objects)'
    assert empty.to_coco() == [] and empty.to_label_studio()['result'] == []
    assert np.array_equal(np.asarray(empty.plot()), np.full((HEIGHT, WIDTH, 3), 128))


def test_segments_of_a_panoptic_map() -> None:
    ids = torch.full((1, HEIGHT, WIDTH), 2)
    ids[0, :10, :10] = 1001  # a dog
    ids[0, 0, 0] = 3  # void
    sample = DetDataSample(pred_panoptic_seg=PixelData(sem_seg=ids))
    found = Result(np.zeros((HEIGHT, WIDTH, 3), np.uint8), sample, META)
    assert found.segments == [
        dict(id=2, label=2, name='sky', is_thing=False, area_px=HEIGHT * WIDTH - 100),
        dict(id=1001, label=1, name='dog', is_thing=True, area_px=99),
    ]
    assert len(found) == 0 and found.to_coco() == []
    assert str(found).splitlines()[-1].split() == ['dog', 'thing', '3.1%']


def test_the_drawing() -> None:
    drawn = np.asarray(result(masks=masks()).plot(min_score=0.5))
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    assert (drawn[20, 20] != 128).any() and (drawn[30, 60] == 128).all()
    png = Image.open(io.BytesIO(result()._repr_png_()))
    assert png.size == (WIDTH, HEIGHT)


def test_fields_of_faces() -> None:
    points = torch.arange(12.0).reshape(2, 3, 2)
    found = result(keypoints=points, attributes=torch.tensor([[1, 0], [-1, 1]]))
    assert np.array_equal(found.keypoints, points)
    assert found.attributes == [dict(hat='yes', age='young'), dict(hat=None, age='old')]


def test_coco_records() -> None:
    dog, cat = result(masks=masks()).to_coco(image_id=7, category_ids=[5, 6, 9])
    assert dog['bbox'] == [10, 5, 20, 20] and dog['category_id'] == 6 and dog['image_id'] == 7
    code = cat['segmentation']
    assert rle.area(dict(code, counts=code['counts'].encode())) == 30 * 40
    assert result().to_coco()[0]['category_id'] == 2


def test_label_studio_records() -> None:
    found = result(masks=masks(), keypoints=torch.full((2, 1, 2), 20.0))
    prediction = json.loads(json.dumps(found.to_label_studio(from_name='shape')))
    kinds = [region['type'] for region in prediction['result']]
    assert kinds == ['polygonlabels', 'keypointlabels'] * 2
    outline = prediction['result'][0]
    assert (outline['original_width'], outline['original_height']) == (WIDTH, HEIGHT)
    assert outline['from_name'] == 'shape' and outline['value']['polygonlabels'] == ['dog']
    corners = np.array(outline['value']['points'])  # centers of the outermost pixels, percent
    assert np.allclose(corners.min(axis=0), [100 * 10.5 / WIDTH, 100 * 5.5 / HEIGHT])
    assert np.allclose(corners.max(axis=0), [100 * 29.5 / WIDTH, 100 * 24.5 / HEIGHT])
    box = result().to_label_studio()['result'][1]
    assert {type(number) for number in box['value'].values()} <= {float, int, list}
    assert box['type'] == 'rectanglelabels' and box['score'] == pytest.approx(0.2)
    sides = {key: box['value'][key] for key in ('x', 'y', 'width', 'height')}
    assert sides == dict(x=50, y=25, width=50, height=75)
    assert len({region['id'] for region in prediction['result']}) == 4


@pytest.mark.skipif(
    importlib.util.find_spec('supervision') is None, reason='supervision is not installed'
)
def test_supervision_detections() -> None:
    found = result(masks=masks(), instances_ids=torch.tensor([4, 9]))
    detections = found.to_supervision()
    assert np.array_equal(detections.xyxy, found.boxes_xyxy)
    assert detections.tracker_id.tolist() == [4, 9]
    assert detections['class_name'].tolist() == ['dog', 'cat']
    assert detections.mask.sum(axis=(1, 2)).tolist() == [400, 1200]


@pytest.mark.skipif(importlib.util.find_spec('fiftyone') is None, reason='needs fiftyone')
def test_fiftyone_detections() -> None:
    dog, cat = result(masks=masks()).to_fiftyone().detections
    assert dog.label == 'dog' and dog.bounding_box == [0.125, 0.125, 0.25, 0.5]
    assert cat.mask.shape == (30, 40) and cat.mask.all()


@pytest.mark.parametrize('package', ['supervision', 'fiftyone'])
def test_a_package_that_is_missing(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__('sys').modules, package, None)
    with pytest.raises(MissingPackageError, match=f'pip install {package}'):
        getattr(result(), f'to_{package}')()
