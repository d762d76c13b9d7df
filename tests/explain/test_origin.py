"""Provenance: the place of every detection is found, and read again for any input."""

from typing import Any

import numpy as np
import pytest
import torch

from mmext.explain.explainer import Explainer
from mmext.explain.targets import Anchored

RULES = {
    'retina': 'sigmoid',
    'fcos': 'product of 2 sigmoids',
    'faster': 'softmax',
    'cascade': 'softmax of the mean of 3',
    'centernet': 'sigmoid',
    'detr': 'softmax',
}


@pytest.mark.parametrize('name', RULES)
def test_every_detection_has_its_place(name: str, predictors: Any, picture: np.ndarray) -> None:
    explainer = Explainer(predictors[name])
    scene = explainer.detect(picture, most=4, min_score=0.0)
    assert len(scene.detections) == 4
    assert len({d.origin.describe() for d in scene.detections}) == 4
    for detection in scene.detections:
        assert detection.origin.rule is not None
        assert detection.origin.rule.name == RULES[name]
        assert detection.stable
    with explainer.network.undisturbed(), torch.no_grad():
        target = scene.target(scene.detections, perturbed=True)
        assert isinstance(target, Anchored)
        values = target(scene.prepared.inputs)[0]
    assert values.tolist() == pytest.approx([d.score for d in scene.detections], abs=1e-5)


@pytest.mark.parametrize('name', RULES)
def test_a_batch_of_two_is_two_calls(name: str, predictors: Any, picture: np.ndarray) -> None:
    explainer = Explainer(predictors[name])
    scene = explainer.detect(picture, most=3, min_score=0.0)
    inputs = scene.prepared.inputs
    noisy = inputs + 0.3 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(1))
    values = explainer.target(scene)
    both = values(torch.cat([inputs, noisy]))
    torch.testing.assert_close(both, torch.cat([values(inputs), values(noisy)]), rtol=0, atol=1e-5)
    assert both.shape == (2, 3)
    assert (both[0] - both[1]).abs().max() > 1e-4


@pytest.mark.parametrize('name', RULES)
def test_the_derivative_is_that_of_the_printed_score(
    name: str, predictors: Any, picture: np.ndarray
) -> None:
    """The anchored score and the one that went through NMS have the same derivative."""
    from mmext.explain.gradient_maps import differentiate
    from mmext.explain.targets import Live

    explainer = Explainer(predictors[name])
    scene = explainer.detect(picture, most=2, min_score=0.0)
    boxes = torch.tensor([d.box_xyxy for d in scene.detections])
    labels = torch.tensor([d.label for d in scene.detections])
    scores = torch.tensor([d.score for d in scene.detections])
    with explainer.network.undisturbed():
        anchored = differentiate(scene.target(scene.detections, perturbed=False), None)
        target = Live(explainer.network, scene.prepared, boxes, labels, scores)
        live = differentiate(target, None)
    scale = live.inputs.abs().max()
    assert scale > 0
    assert float((anchored.inputs - live.inputs).abs().max() / scale) < 1e-3
    torch.testing.assert_close(anchored.values, live.values, rtol=0, atol=1e-5)


def test_saturated_scores_have_a_place_and_a_map(predictors: Any, picture: np.ndarray) -> None:
    """Where the score is 1 in float32 its derivative is 0; the box still says where it is."""
    predictor = predictors['retina']
    bias = predictor.model.bbox_head.retina_cls.bias
    with torch.no_grad():
        bias += 40
    try:
        explainer = Explainer(predictor)
        scene = explainer.detect(picture, most=2, min_score=0.0)
        assert [d.score for d in scene.detections] == [1.0, 1.0]
        assert all(d.origin.rule is not None for d in scene.detections)
        (attribution,) = explainer.attribute(scene, scene.detections[:1], 'saliency')
        assert attribution.relevance.max() > 0
    finally:
        with torch.no_grad():
            bias -= 40


def test_a_missed_object_is_asked_for_at_its_place(predictors: Any, picture: np.ndarray) -> None:
    box = (10.0, 8, 40, 40)
    for name in ('retina', 'faster'):
        explainer = Explainer(predictors[name])
        scene = explainer.detect(picture, most=3, min_score=0.99)
        missed = explainer.missed(scene, box, 'tree')
        assert missed.missed
        assert missed.label == 2
        assert 0 < missed.score < 0.99
        (attribution,) = explainer.attribute(scene, [missed])
        assert attribution.target == 'anchored'
        assert attribution.relevance.any()
    assert missed.box_xyxy == box
