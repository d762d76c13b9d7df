"""Numbers other than the score: their values, their derivatives, and what has none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain.attribution import Options
from mmext.explain.explainer import Explainer
from mmext.explain.heads import undetached
from mmext.explain.making import target_of
from mmext.explain.quantities import contrasted, parse_quantity

CASES = [
    *((name, target) for name in ('fcos', 'faster', 'detr')
      for target in ('edge:left', 'size', 'contrast:tree')),
    *((name, target) for name in ('retina', 'cascade', 'centernet')
      for target in ('edge:bottom', 'contrast:tree')),
    ('mask_rcnn', 'mask'), ('mask_rcnn', 'area'), ('pose', 'keypoint:2'), ('pose', 'keypoint:3:y'),
    ('yolact', 'edge:top'),
]  # fmt: skip


def of_prediction(
    explainer: Explainer, scene: Any, first: Any, target: str, inputs: Tensor
) -> Tensor:
    """The number ``[]`` of a detection, out of the whole prediction."""
    network = explainer.network
    masks = type(network.model).__name__ != 'YOLACT'
    with undetached():
        (found,) = network.predict(inputs, scene.prepared.meta, masks=masks)
    gaps = (found.bboxes.detach() - torch.tensor(first.box_xyxy)).abs().sum(1)
    gaps += 1e3 * (found.labels != first.label)
    row = int(gaps.argmin())
    kind, _, name = target.partition(':')
    left, top, right, bottom = found.bboxes[row]
    if kind == 'keypoint':
        number, _, axis = name.partition(':')
        value = found.keypoints if axis else found.keypoint_scores
        return value[row, int(number), 'xy'.index(axis)] if axis else value[row, int(number)]
    numbers = dict(left=left, bottom=bottom, top=top)
    return numbers[name] if kind == 'edge' else ((right - left) * (bottom - top)) ** 0.5


def inner(explainer: Explainer, picture: np.ndarray) -> tuple[Any, list[Any]]:
    """A scene, and a detection whose box no border cuts: its head moves boxes a little."""
    with torch.no_grad():
        for name, weight in explainer.network.model.named_parameters():
            if 'head' in name and 'reg' in name:
                weight.mul_(0.02)
    scene = explainer.detect(picture, most=10, min_score=0.0)
    if type(getattr(explainer.network.model, 'bbox_head', None)).__name__ == 'CenterNetPoseHead':
        return scene, list(scene.detections[:1])  # its random sizes are negative
    height, width = picture.shape[:2]
    found = [
        d for d in scene.detections
        if min(d.box_xyxy) > 0 and d.box_xyxy[2] < width and d.box_xyxy[3] < height
        and d.box_xyxy[2] - d.box_xyxy[0] > 2 and d.box_xyxy[3] - d.box_xyxy[1] > 2
    ]  # fmt: skip
    return scene, found[:1]


@pytest.mark.parametrize(('name', 'target'), CASES)
def test_values_and_batches(name: str, target: str, build: Any, picture: np.ndarray) -> None:
    explainer = Explainer(build(name))
    scene, wanted = inner(explainer, picture)
    if target == 'contrast:tree' and wanted[0].label == 2:
        target = 'contrast:crate'
    inputs = scene.prepared.inputs
    noisy = inputs + 0.3 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(1))
    with explainer.network.undisturbed(), torch.no_grad():
        function = target_of(scene, wanted, Options(target=target), perturbed=True)
        both = function(torch.cat([inputs, noisy]))
        alone = torch.cat([function(inputs), function(noisy)])
        torch.testing.assert_close(both, alone, rtol=1e-5, atol=1e-4)
        assert both.shape == (2, 1)
        assert both[0] != both[1]
    (attribution,) = explainer.attribute(scene, wanted, options=Options(target=target))
    assert attribution.target == target
    assert attribution.relevance.any()
    assert not attribution.note


@pytest.mark.parametrize(
    ('name', 'target'),
    [case for case in CASES if case[1].split(':')[0] in ('edge', 'size', 'keypoint')],
)
def test_the_derivative_is_that_of_the_prediction(
    name: str, target: str, build: Any, picture: np.ndarray
) -> None:
    """At the image: the box that was printed, by a graph through the whole prediction."""
    explainer = Explainer(build(name))
    scene, wanted = inner(explainer, picture)
    with explainer.network.undisturbed():
        function = target_of(scene, wanted, Options(target=target), perturbed=False)
        found = []
        for number in (
            lambda x: function(x)[0, 0],
            lambda x: of_prediction(explainer, scene, wanted[0], target, x),
        ):
            inputs = scene.prepared.inputs.clone().requires_grad_()
            value = number(inputs)
            found.append((float(value), torch.autograd.grad(value, inputs)[0]))
    (value, slope), (expected, printed) = found
    assert value == pytest.approx(expected, abs=1e-3)
    assert float((slope - printed).abs().max()) < 1e-3 * float(printed.abs().max())


@pytest.mark.parametrize('name', ['retina', 'fcos', 'faster', 'centernet', 'detr'])
def test_a_contrast_is_the_difference_of_two_logits(
    name: str, build: Any, picture: np.ndarray
) -> None:
    explainer = Explainer(build(name))
    scene = explainer.detect(picture, most=1, min_score=0.0)
    (detection,) = scene.detections
    outputs: list[Tensor] = []
    model = explainer.network.model
    head = model.roi_head.bbox_head if name == 'faster' else model.bbox_head
    handle = head.register_forward_hook(lambda m, a, out: outputs.extend(_flat(out)))
    with explainer.network.undisturbed(), torch.no_grad():
        model_meta = scene.prepared.meta
        explainer.network.predict(scene.prepared.inputs, model_meta)
    handle.remove()
    with explainer.network.undisturbed(), torch.no_grad():
        function = target_of(
            scene, [detection], Options(target='contrast:ball-crate'), perturbed=True
        )
        value = float(function(scene.prepared.inputs))
    # by search: some vector of classes has the score and this difference
    vectors = [v for out in outputs for v in _class_vectors(out)]
    differences = [float(v[0] - v[1]) for v in vectors if _has(v, detection, name)]
    assert any(value == pytest.approx(d, abs=1e-4) for d in differences)
    assert len(differences) < 10 or name == 'fcos', 'with centerness many could be it'


def _flat(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output
    return [tensor for value in values for tensor in _flat(value)]


def _class_vectors(output: Tensor) -> Tensor:
    """Rows of classes ``[n, 3 or 4]`` of an output."""
    if output.ndim == 4 and output.shape[1] == 3:
        return output.permute(0, 2, 3, 1).reshape(-1, 3)
    last = output.shape[-1]
    return (
        output.reshape(-1, last) if last in (3, 4) and output.ndim < 5 else output.new_zeros(0, 3)
    )


def _has(vector: Tensor, detection: Any, name: str) -> bool:
    """Whether a class vector gives the score of a detection; with centerness: a greater one."""
    if name in ('faster', 'detr'):
        return abs(float(vector.softmax(0)[detection.label]) - detection.score) < 1e-5
    own = float(vector[detection.label].sigmoid())
    if name == 'centernet':
        own = float(vector[detection.label])
        return min(abs(own - detection.score), abs(float(vector[detection.label].sigmoid())
                   - detection.score)) < 1e-5  # fmt: skip
    return own >= detection.score - 1e-5 if name == 'fcos' else abs(own - detection.score) < 1e-5


def test_a_mask_is_followed_in_its_box(build: Any, picture: np.ndarray) -> None:
    explainer = Explainer(build('mask_rcnn'))
    scene = explainer.detect(picture, most=3, min_score=0.0)
    drawn: list[Tensor] = []
    model = explainer.network.model
    handle = model.roi_head.mask_head.register_forward_hook(lambda m, a, out: drawn.append(out))
    with explainer.network.undisturbed(), torch.no_grad():
        (found,) = explainer.network.predict(scene.prepared.inputs, scene.prepared.meta)
    handle.remove()
    for detection in scene.detections:
        same = (found.bboxes - torch.tensor(detection.box_xyxy)).abs().sum(1)
        logits = drawn[0][int(same.argmin()), detection.label].double()
        left, top, right, bottom = detection.box_xyxy
        expected = {
            'mask': float(logits[logits > 0].mean())
            if (logits > 0).any()
            else float(logits.mean()),
            'area': float(logits.sigmoid().mean()) * (right - left) * (bottom - top),
        }
        for name, value in expected.items():
            with explainer.network.undisturbed(), torch.no_grad():
                function = target_of(scene, [detection], Options(target=name), perturbed=True)
                assert float(function(scene.prepared.inputs)) == pytest.approx(value, rel=1e-3)


def test_the_mask_of_a_query(build: Any, picture: np.ndarray) -> None:
    """Of a detector of panoptic maps, whose instances come out while it is explained."""
    explainer = Explainer(build('mask2former'))
    model = explainer.network.model
    drawn: list[list[Tensor]] = []
    handle = model.panoptic_head.register_forward_hook(lambda m, a, out: drawn.append(out[1]))
    scene = explainer.detect(picture, most=2, min_score=0.0)
    handle.remove()
    queries = drawn[0][-1][0].double()  # [Q, h, w]
    for detection in scene.detections:
        for name in ('mask', 'area'):
            with explainer.network.undisturbed():
                function = target_of(scene, [detection], Options(target=name), perturbed=False)
                value = float(function(scene.prepared.inputs)[0, 0])
            of_each = {
                'mask': [float(q[q > 0].mean()) for q in queries if (q > 0).any()],
                'area': [float(q.sigmoid().sum()) for q in queries],
            }[name]
            assert any(value == pytest.approx(expected, rel=1e-4) for expected in of_each)
    (attribution,) = explainer.attribute(
        scene, scene.detections[:1], options=Options(target='mask')
    )
    assert attribution.relevance.any()
    assert not attribution.note
    with pytest.raises(InputError, match='depends on the input'):
        explainer.attribute(scene, None, 'rise', Options(target='mask'))
    assert explainer.attribute(scene)[0].target == 'live'
    assert model.test_cfg.instance_on is False


def test_a_segment_of_stuff(build: Any, picture: np.ndarray) -> None:
    predictor = build('panoptic')
    predictor.classes = ('ball', 'crate', 'tree', 'grass', 'road')
    explainer = Explainer(predictor)
    scene = explainer.detect(picture, most=1, min_score=0.0)
    with explainer.network.undisturbed():
        from mmext.explain.segment_maps import segments_of

        names = segments_of(explainer.network, scene.prepared).names
    (name, *_) = [n for n in names if n in ('grass', 'road')]
    target = f'segment:{name}'
    (attribution,) = explainer.attribute(scene, options=Options(target=target))
    assert attribution.detection.name == name
    assert 0 < attribution.detection.score < 1
    assert attribution.relevance.any()
    (again,) = explainer.attribute(
        scene, [explainer.segment(scene, name)], 'rise', Options(target=target, masks=6)
    )
    assert again.relevance.any()
    with pytest.raises(InputError, match='segment:house: the picture has'):
        explainer.segment(scene, 'house')


@pytest.mark.parametrize('name', ['fcos', 'faster', 'cascade'])
def test_a_class_is_the_sum_of_its_detections(name: str, build: Any, picture: np.ndarray) -> None:
    explainer = Explainer(build(name))
    scene = explainer.detect(picture, most=6, min_score=0.0)
    label = max(d.label for d in scene.detections)
    members = [d for d in scene.detections if d.label == label]
    options = Options(target=f'class:{explainer.network.classes[label]}')
    (whole,) = explainer.attribute(scene, None, 'inputxgrad', options)
    single = explainer.attribute(scene, members, 'inputxgrad')
    assert whole.detection.score == pytest.approx(sum(d.score for d in members))
    total = sum(a.relevance for a in single)
    assert torch.allclose(torch.as_tensor(whole.relevance), torch.as_tensor(total), atol=1e-6)
    (masked,) = explainer.attribute(scene, None, 'rise', replace(options, masks=4))
    assert masked.relevance.any() and masked.detection.box_xyxy[0] <= members[0].box_xyxy[0]
    with pytest.raises(InputError, match='the detector has ball'):
        explainer.attribute(scene, None, 'odam', Options(target='class:house'))
    nothing = replace(scene, detections=scene.detections[:0])
    with pytest.raises(InputError, match='nothing of it was detected; there is nothing'):
        explainer.attribute(nothing, None, 'odam', options)


def test_what_has_no_such_number(predictors: Any, picture: np.ndarray) -> None:
    explainer = Explainer(predictors['retina'])
    scene = explainer.detect(picture, most=1, min_score=0.0)
    for target, message in {
        'mask': 'made of no raw map',
        'keypoint:0': 'puts out no keypoint_scores',
        'contrast:house': 'expected CLASS or CLASS-OTHER of ball, crate, tree',
        'segment:road': 'no semantic head',
    }.items():
        with pytest.raises(InputError, match=message):
            explainer.attribute(scene, options=Options(target=target))
    for text in ('edge', 'edge:middle', 'keypoint:a', 'keypoint:1:z', 'score:1', 'mask:', ''):
        with pytest.raises(InputError, match='expected one of score'):
            Options(target=text)


def test_names_of_classes_may_have_hyphens() -> None:
    classes = ('hot', 'dog', 'hot-dog')
    assert contrasted('hot-dog', classes, 1) == (1, 2)
    assert contrasted('hot-dog', classes[:2], 1) == (0, 1)
    assert contrasted('hot-dog-hot', classes, 1) == (2, 0)
    assert parse_quantity('contrast:hot-dog').name == 'hot-dog'
    with pytest.raises(InputError, match='against itself'):
        contrasted('dog', classes, 1)
