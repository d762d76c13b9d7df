"""Points, meshes and attributes on pictures: where they are, what is left out."""

from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmext.drawing.panels import Classes, Scene, draw_scene
from mmext.drawing.points import attribute_notes, draw_points
from mmext.inference.coco_results import instance_records
from mmext.inference.prediction import draw_prediction

BOX = np.array([[10.0, 10, 90, 90]])


def grey(side: int = 120) -> np.ndarray:
    return np.full((side, side, 3), 100, np.uint8)


def changed(drawn: np.ndarray) -> np.ndarray:
    return (drawn != 100).any(axis=2)


def test_points_are_drawn_at_their_places() -> None:
    points = np.array([[[20.5, 30.5], [70.5, 60.5]]])
    image = grey()
    found = changed(draw_points(image, BOX, {'keypoints': points}, {}))
    assert found[30, 20] and found[60, 70]
    assert found.sum() < 60
    assert (image == 100).all()
    rows, columns = np.nonzero(found[:45, :45])
    assert (rows.mean(), columns.mean()) == pytest.approx((30, 20), abs=0.3)


def test_occluded_points_are_rings_and_unknown_ones_are_left_out() -> None:
    points = np.array([[[30.5, 30.5], [90.5, 30.5], [60.5, 90.5]]])
    fields = {'keypoints': points, 'keypoints_visible': np.array([[2, 1, 0]])}
    meta = {'skeleton': ((0, 1), (1, 2))}
    plain = changed(draw_points(grey(), 5 * BOX, fields, {}))
    assert plain[30, 30] and not plain[30, 90] and not plain[90, 60]
    ring = np.argwhere(plain[:60, 60:]) + np.array([0, 60])
    distances = np.hypot(*(ring - (30, 90)).T)
    assert distances.min() > 1
    assert len(ring) > 8
    linked = changed(draw_points(grey(), 5 * BOX, fields, meta))
    assert linked[30, 60] and not linked[60, 75]  # no link to what is not known


def test_dots_on_a_large_photo_can_be_seen() -> None:
    points = np.array([[[500.5, 500.5]]])
    large = changed(draw_points(grey(2400), 10 * BOX, {'keypoints': points}, {}))
    assert large.sum() > 3 * 12**2
    small = changed(draw_points(grey(1000), 10 * BOX, {'keypoints': points}, {}))
    assert small.sum() < 4 * 7**2


def test_links_and_points_of_low_score() -> None:
    points = np.array([[[20.5, 30.5], [70.5, 30.5], [50.5, 80.5]]])
    meta = {'skeleton': [(0, 1), (1, 2)]}
    every = changed(draw_points(grey(), BOX, {'keypoints': points}, meta))
    assert every[30, 45] and every[55, 60]
    scores = np.array([[0.9, 0.8, 0.1]])
    fields = {'keypoints': points, 'keypoint_scores': scores}
    sure = changed(draw_points(grey(), BOX, fields, meta))
    assert sure[30, 45] and not sure[55, 60] and not sure[80, 50]
    points[0, 0] = np.nan
    assert not changed(draw_points(grey(), BOX, {'keypoints': points}, meta))[30, 20]


def test_meshes_as_wires_or_dots() -> None:
    mesh = np.array([[[20.5, 20.5, 1], [80.5, 20.5, 2], [20.5, 80.5, 3]]])
    dots = changed(draw_points(grey(), BOX, {'mesh': mesh}, {}))
    assert dots[20, 20] and dots[20, 80] and not dots[20, 50]
    wires = changed(draw_points(grey(), BOX, {'mesh': mesh}, {'mesh_triangles': [(0, 1, 2)]}))
    assert wires[20, 50] and wires[50, 20] and wires[50, 50]


def test_small_objects_show_no_points() -> None:
    points = np.array([[[20.5, 30.5], [70.5, 60.5]]])
    tiny = np.array([[10.0, 10, 90, 15]])
    assert not changed(draw_points(grey(), tiny, {'keypoints': points}, {})).any()


def test_attributes_are_said_of_large_objects() -> None:
    table = [
        {'name': 'glasses', 'values': ('no', 'yes'), 'kind': 'binary'},
        {'name': 'age', 'values': ('young', 'old'), 'kind': 'ordinal'},
    ]
    boxes = np.array([[20.0, 10, 100, 60], [0, 0, 20, 90], [0, 0, 50, 50]])
    values = np.array([[1, 1], [1, 1], [0, -1]])
    assert attribute_notes(boxes, values, table) == ['glasses, old', '', '']
    # they stand beside the name: nothing can be printed over them
    plain, told = (
        Scene((120, 400), np.array([0]), boxes[:1], np.array([0.9]), fields=fields)
        for fields in ({}, {'attributes': values[:1]})
    )
    photo = np.full((120, 400, 3), 100, np.uint8)
    classes = Classes(['face'], meta={'attributes': table})
    widths = [
        changed(draw_scene(photo, scene, classes)).any(axis=0).sum() for scene in (plain, told)
    ]
    assert widths[1] > widths[0] + 30


def prediction(**fields: Any) -> DetDataSample:
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[10.0, 10, 90, 90], [5, 5, 40, 40]]),
        scores=torch.tensor([0.9, 0.1]),
        labels=torch.tensor([0, 0]),
        **fields,
    )
    return sample


def test_predictions_of_all_kinds() -> None:
    keypoints = torch.tensor([[[50.5, 60.5]], [[20.5, 25.5]]])
    meta = {'classes': ('face',), 'palette': [(255, 0, 0)]}
    found = changed(draw_prediction(grey(), prediction(keypoints=keypoints), meta, 0.5))
    assert found[60, 50] and not found[25, 20]  # the second has a low score
    assert found[10, 50]  # the box
    plain = changed(draw_prediction(grey(), prediction(), meta, 0.5))
    assert plain[10, 50] and not plain[60, 50]


def test_results_have_points_and_attributes() -> None:
    sample = prediction(
        keypoints=torch.tensor([[[50.5, 60.5]], [[20.5, 25.5]]]),
        attributes=torch.tensor([[1, 2], [0, 0]]),
    )
    results = instance_records(sample, 7, [1])
    assert results[0]['keypoints'] == pytest.approx([50.5, 60.5, 0.9])
    assert results[0]['attributes'] == [1, 2]
    sample.pred_instances.keypoint_scores = torch.tensor([[0.25], [0.5]])
    results = instance_records(sample, 7, [1])
    assert results[1]['keypoints'] == pytest.approx([20.5, 25.5, 0.5])
