"""Maps that the network holds already."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mmext.errors import InputError
from mmext.explain.explainer import Explainer


@pytest.mark.parametrize('name', ['centernet', 'retina', 'fcos'])
def test_the_class_map_has_the_probability_at_the_origin(
    name: str, predictors: Any, picture: np.ndarray
) -> None:
    explainer = Explainer(predictors[name])
    scene = explainer.detect(picture, most=1, min_score=0.0)
    (detection,) = scene.detections
    (attribution,) = explainer.attribute(scene, method='cam')
    assert attribution.relevance.min() >= 0
    assert attribution.relevance.max() <= 1
    if name != 'fcos':  # whose score is multiplied by the centerness
        # the best detection is the best cell of its class
        assert attribution.relevance.max() == pytest.approx(detection.score, abs=0.02)


def test_a_region_has_no_class_map(predictors: Any, picture: np.ndarray) -> None:
    explainer = Explainer(predictors['faster'])
    scene = explainer.detect(picture, most=1, min_score=0.0)
    with pytest.raises(InputError, match='comes from a region or a query'):
        explainer.attribute(scene, method='cam')
    with pytest.raises(InputError, match='no decoder with full attention'):
        explainer.attribute(scene, method='attention')


def test_the_attention_of_a_query_is_that_of_the_decoder(build: Any, picture: np.ndarray) -> None:
    explainer = Explainer(build('detr'))
    scene = explainer.detect(picture, most=2, min_score=0.0)
    assert {d.origin.rule.name for d in scene.detections if d.origin.rule} == {'softmax'}
    model = explainer.network.model
    seen: list[torch.Tensor] = []

    def note(module: nn.Module, args: Any, output: Any) -> None:
        seen.append(output[1])

    handle = model.decoder.layers[-1].cross_attn.attn.register_forward_hook(note)
    maps = explainer.attribute(scene, method='attention')
    handle.remove()
    for detection, attribution in zip(scene.detections, maps, strict=True):
        assert detection.origin.rule is not None
        weights = seen[0][0, detection.origin.rule.factors[0].place[-2]]
        assert attribution.relevance.max() <= float(weights.max()) + 1e-6
        assert attribution.relevance.any()
    both = explainer.attribute(scene)
    assert {a.target for a in both} == {'anchored'}
