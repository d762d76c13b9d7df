"""Maps by channels against plain loops over them."""

from typing import Any

import numpy as np
import pytest
import torch

from mmext.errors import InputError
from mmext.explain.attribution import Options
from mmext.explain.explainer import Explainer
from mmext.explain.geometry import to_original
from mmext.explain.relevance import LevelMap, enlarged, on_input


@pytest.mark.parametrize('name', ['retina', 'faster'])
@pytest.mark.parametrize('method', ['ablationcam', 'scorecam'])
def test_weights_are_those_of_a_loop(
    name: str, method: str, build: Any, picture: np.ndarray
) -> None:
    explainer = Explainer(build(name))
    scene = explainer.detect(picture, most=1, min_score=0.0)
    options = Options(layer='neck:0', channels=16, block=5)
    (made,) = explainer.attribute(scene, method=method, options=options)
    model, inputs = explainer.network.model, scene.prepared.inputs
    score = explainer.target(scene)
    seen: list[torch.Tensor] = []
    handle = model.neck.register_forward_hook(lambda m, a, out: seen.append(out[0].detach()))
    clean = score(inputs)[0, 0]
    handle.remove()
    centered = explainer._placement(explainer._layer(method, 'neck'))[0]
    weights = []
    for channel in range(16):
        if method == 'scorecam':
            large = enlarged(seen[0][0, channel][None], scene.prepared.size_hw, centered)
            mask = (large - large.min()) / (large.max() - large.min())
            weights.append(float(score(inputs * mask[None])[0, 0]))
            continue

        def drop(module: Any, args: Any, out: Any, channel: int = channel) -> Any:
            first = out[0].clone()
            first[:, channel] = 0
            return (first, *out[1:])

        handle = model.neck.register_forward_hook(drop)
        weights.append(float((clean - score(inputs)[0, 0]) / clean))
        handle.remove()
    found = torch.tensor(weights)
    if method == 'scorecam':
        found = found.softmax(0)
    cells = (found[:, None, None] * seen[0][0]).sum(0)
    expected = on_input([LevelMap(cells[None], centered)], scene.prepared.size_hw)
    plain = to_original(expected, scene.prepared.frame)[0].numpy()
    assert np.abs(made.relevance - plain).max() < 1e-3 * np.abs(plain).max()


def test_levels_that_do_not_matter_have_no_channels(build: Any, picture: np.ndarray) -> None:
    from mmext.explain.channel_maps import channels_that_matter, replay
    from mmext.explain.layers import Layer
    from mmext.explain.making import target_of

    explainer = Explainer(build('retina'))
    scene = explainer.detect(picture, most=1, min_score=0.0)
    rule = scene.detections[0].origin.rule
    assert rule is not None
    with explainer.network.undisturbed(), torch.no_grad():
        target = target_of(scene, scene.detections, Options(), perturbed=True)
        run = replay(explainer.network.model, Layer('neck'), target, 4)
        channels = channels_that_matter(run, 100)
        assert len(run.activations) == 2
        # the head's outputs: classes of both levels, then boxes of both
        assert {channel.level for channel in channels} == {rule.factors[0].key.call % 2}
        assert len(channels) == 16
        energy = [float(run.activations[i][c].square().sum()) for i, c in channels]
        assert energy == sorted(energy, reverse=True)
        assert channels_that_matter(run, 3) == channels[:3]
    with pytest.raises(InputError, match='does not matter'):
        explainer.attribute(
            scene, method='ablationcam', options=Options(layer='bbox_head.retina_reg')
        )
