"""Nothing of the user's model changes, also when something goes wrong; equal seeds, equal maps."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.models.utils import misc

from mmext.errors import InputError
from mmext.explain.attribution import Options
from mmext.explain.explainer import Explainer
from mmext.explain.methods import METHODS

MAPS = [m for m in METHODS if METHODS[m].kind not in ('segments', 'readout')]
QUICK = Options(masks=6, steps=2, samples=2, patch_px=24, block=4)


def state(model: Any) -> dict[str, Any]:
    """All that a call could change."""
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    return dict(
        weights={key: value.clone() for key, value in model.state_dict().items()},
        flags=[m.training for m in model.modules()],
        wants=[p.requires_grad for p in model.parameters()],
        grads=[p.grad for p in model.parameters()],
        test_cfg=copy.deepcopy(getattr(model, 'test_cfg', None)),
        names=sorted(k for k in vars(model) if k[0] != '_'),
        hooks=hooks,
    )


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    weights = first.pop('weights'), second.pop('weights')
    alike = all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    return alike and first == second


@pytest.mark.parametrize(
    'method', [m for m in METHODS if METHODS[m].kind not in ('segments', 'readout')]
)
def test_no_method_changes_the_model_and_all_are_deterministic(
    method: str, predictors: Any, picture: np.ndarray
) -> None:
    model = predictors['faster'].model
    model.train()  # a user's model may be in any mode
    random = torch.random.get_rng_state()
    before = state(model)
    options = QUICK
    if method in ('gradcam++', 'xgradcam'):
        options = Options(layer='backbone')
    try:
        maps = []
        for _ in range(2):
            explainer = Explainer(predictors['faster'])
            scene = explainer.detect(picture, most=2, min_score=0.0)
            maps.append(explainer.attribute(scene, method=method, options=options))
        assert same(before, state(model))
        assert torch.equal(random, torch.random.get_rng_state())
    finally:
        model.eval()
    for first, second in zip(*maps, strict=True):
        assert np.array_equal(first.relevance, second.relevance)
        assert np.isfinite(first.relevance).all()
        assert first.relevance.shape == picture.shape[:2]
        assert first.relevance.any()


@pytest.mark.parametrize('name', ['retina', 'faster', 'detr'])
def test_weights_in_half_precision_are_explained_in_float32(
    name: str, build: Any, picture: np.ndarray
) -> None:
    half, rounded = build(name), build(name)
    half.model.bfloat16()
    rounded.model.bfloat16().float()
    before = state(half.model)
    maps = []
    for predictor in (half, rounded):
        explainer = Explainer(predictor)
        scene = explainer.detect(picture, most=2, min_score=0.0)
        for method in ('odam', 'ig', 'rise'):
            made = explainer.attribute(scene, None, method, QUICK)
            maps += [np.stack([attribution.relevance for attribution in made])]
    assert same(before, state(half.model))
    assert all(p.dtype == torch.bfloat16 for p in half.model.parameters())
    for first, second in zip(maps[:3], maps[3:], strict=True):
        assert first.dtype == np.float32
        assert first.any()
        assert np.array_equal(first, second)


def test_a_fast_copy_in_low_precision_is_explained_by_its_model(
    build: Any, picture: np.ndarray
) -> None:
    from mmext.inference.fast import fast

    predictor, plain = build('faster'), build('faster')
    predictor.model = fast(predictor.model, 'bf16')
    found = []
    for used in (predictor, plain):
        explainer = Explainer(used)
        scene = explainer.detect(picture, most=1, min_score=0.0)
        found.append(explainer.attribute(scene)[0])
    assert found[0].detection == found[1].detection
    assert np.array_equal(found[0].relevance, found[1].relevance)


@pytest.mark.parametrize('name', ['retina', 'faster', 'cascade', 'detr', 'centernet'])
def test_an_exception_in_the_middle_of_a_map_leaves_all_as_it_was(
    name: str, predictors: Any, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first or second prediction fails, whatever is hooked and switched by then."""
    model = predictors[name].model
    explainer = Explainer(predictors[name])
    scene = explainer.detect(picture, most=1, min_score=0.0)
    before, original = state(model), misc.select_single_mlvl
    once = ('layer', 'input', 'summary')  # kinds that predict once
    for method, kind in METHODS.items():
        if kind.kind == 'readout' or method == 'rise-features':  # which has its own `extract_feat`
            continue
        left = [0 if kind.kind in once else 1]
        whole = model.extract_feat

        def fail(*args: Any, left: list[int] = left, whole: Any = whole) -> Any:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return whole(*args)

        monkeypatch.setattr(model, 'extract_feat', fail)
        with pytest.raises(KeyboardInterrupt):
            explainer.attribute(scene, method=method, options=QUICK)
        monkeypatch.undo()
        assert same(dict(before), state(model))
        assert misc.select_single_mlvl is original


def test_an_exception_leaves_all_as_it_was(
    predictors: Any, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = predictors['centernet'].model
    original = misc.select_single_mlvl
    before = state(model)
    explainer = Explainer(predictors['centernet'])
    scene = explainer.detect(picture, most=1, min_score=0.0)

    def fail(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model.bbox_head, 'forward', fail)
    for method in ('odam', 'rise', 'rise-features'):
        with pytest.raises(KeyboardInterrupt):
            explainer.attribute(scene, method=method, options=QUICK)
    with pytest.raises(KeyboardInterrupt):
        explainer.detect(picture)
    monkeypatch.undo()
    assert same(before, state(model))
    assert misc.select_single_mlvl is original
    assert model.test_cfg.flip is True


def test_rules_that_divide_by_sums_say_where_they_work(
    predictors: Any, picture: np.ndarray
) -> None:
    explainer = Explainer(predictors['retina'])
    scene = explainer.detect(picture, most=1, min_score=0.0)
    with pytest.raises(InputError, match=r'not negative.*--layer backbone'):
        explainer.attribute(scene, method='gradcam++')
    (attribution,) = explainer.attribute(scene, method='gradcam++', options=Options('backbone'))
    assert attribution.layer == 'backbone:-1'


def test_a_head_that_sees_nine_cells_is_explained_by_the_backbone(
    predictors: Any, picture: np.ndarray
) -> None:
    layers = {}
    for name in ('centernet', 'retina', 'faster'):
        explainer = Explainer(predictors[name])
        scene = explainer.detect(picture, most=1, min_score=0.0)
        (attribution,) = explainer.attribute(scene)
        layers[name] = attribution.layer
        (named,) = explainer.attribute(scene, options=Options('neck'))
        assert named.layer == 'neck'
    assert layers == {'centernet': 'backbone', 'retina': 'neck', 'faster': 'neck'}
