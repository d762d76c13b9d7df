"""Maps that the network holds already."""

from typing import Any

import numpy as np
import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch
from torch import nn

from mmext.errors import InputError
from mmext.explain.explainer import Explainer
from mmext.explain.readouts import recorded_points

C = 16  # channels of the small detectors


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
    with pytest.raises(InputError, match='no decoder whose queries'):
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


@pytest.mark.parametrize('name', ['deformable', 'deformable_refining'])
def test_deformable_attention_reads_the_cells_of_its_map(
    name: str, build: Any, picture: np.ndarray
) -> None:
    """Against the host's operator: what it reads of random values is the map times the values."""
    explainer = Explainer(build(name))
    model = explainer.network.model
    with torch.no_grad():
        for key, weight in model.decoder.named_parameters():
            if 'sampling_offsets' in key or 'attention_weights' in key:
                weight += torch.randn_like(weight)
    scene = explainer.detect(picture, most=2, min_score=0.0)
    module = model.decoder.layers[-1].cross_attn
    with (
        recorded_points(module) as recorded,
        explainer.network.undisturbed(),
        torch.no_grad(),
    ):
        explainer.network.predict(scene.prepared.inputs, scene.prepared.meta)
    points = recorded[-1]
    heads, query = points.weights.shape[1], 3
    values = torch.rand(1, sum(h * w for h, w in points.sizes_hw), 1, 1).expand(-1, -1, heads, -1)
    read = multi_scale_deformable_attn_pytorch(
        values, torch.tensor(points.sizes_hw), points.places[None], points.weights[None]
    )[0, query]
    cells = torch.cat([level.flatten() for level in points.cells(query)])
    assert float(cells @ values[0, :, 0, 0]) == pytest.approx(float(read.mean()), abs=1e-5)
    assert points.weights.sum((2, 3)) == pytest.approx(torch.ones(6, heads), abs=1e-5)

    (made, other) = explainer.attribute(scene, method='attention')
    assert made.relevance.any()
    assert np.abs(made.relevance - other.relevance).max() > 0
    assert not module._forward_hooks


def test_the_points_are_those_of_the_module(build: Any, picture: np.ndarray) -> None:
    """What the module puts out is made of the recorded points and nothing else."""
    explainer = Explainer(build('deformable'))
    scene = explainer.detect(picture, most=1, min_score=0.0)
    module = explainer.network.model.decoder.layers[-1].cross_attn
    outputs: list[Any] = []
    handle = module.register_forward_hook(
        lambda m, a, k, out: outputs.append((k, out)), with_kwargs=True
    )
    with recorded_points(module) as recorded, explainer.network.undisturbed(), torch.no_grad():
        explainer.network.predict(scene.prepared.inputs, scene.prepared.meta)
        handle.remove()
        (given, expected), points = outputs[-1], recorded[-1]
        values = module.value_proj(given['value'])
        values = values.masked_fill(given['key_padding_mask'][..., None], 0.0)
        read = multi_scale_deformable_attn_pytorch(
            values.view(1, -1, module.num_heads, C // module.num_heads),
            torch.tensor(points.sizes_hw), points.places[None], points.weights[None],
        )  # fmt: skip
        again = module.output_proj(read) + given['query']
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-5)
