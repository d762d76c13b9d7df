"""fast(): what it predicts, what it leaves alone, and what it does where it cannot."""

import copy
import gc
import logging
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from mmcv.ops.nms import NMSop
from mmdet.models.detectors import RetinaNet
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from small_models import BUILDERS, build_small, make_batch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.hooks.mixed_precision import patches
from mmext.inference.fast import fast
from mmext.inference.packed_convolutions import PackedConv2d


@pytest.fixture(autouse=True)
def log() -> Iterator[list[str]]:
    """What is said."""
    lines: list[str] = []
    logger = MMLogger.get_current_instance()
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


@cache
def model_of(name: str) -> BaseModel:
    """A detector with the norms of a trained one."""
    model = build_small(name).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return model


def flat(value: Any) -> list[Tensor]:
    """The tensors of a nest, in its order."""
    if isinstance(value, Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value or ()
    return [tensor for inner in values for tensor in flat(inner)]


@torch.inference_mode()
def raw(model: BaseModel) -> list[Tensor]:
    return flat(model(**model.data_preprocessor(make_batch()), mode='tensor'))


@torch.inference_mode()
def predicted(model: BaseModel) -> Any:
    (sample,) = model.test_step(make_batch())
    return sample


@pytest.mark.parametrize('name', BUILDERS)
def test_fp32_says_the_same(name: str, log: list[str]) -> None:
    plain = model_of(name)
    quick = fast(plain, 'fp32')
    for wanted, got in zip(raw(plain), raw(quick), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))
    wanted, got = predicted(plain), predicted(quick)
    if 'pred_instances' in wanted:
        for field in ('scores', 'bboxes', 'labels'):
            torch.testing.assert_close(
                got.pred_instances[field], wanted.pred_instances[field], rtol=1e-4, atol=1e-4
            )
    if 'pred_panoptic_seg' in wanted:
        same = got.pred_panoptic_seg.sem_seg == wanted.pred_panoptic_seg.sem_seg
        assert same.float().mean() > 0.99
    assert not any('as it is' in line for line in log)


@pytest.mark.parametrize('name', BUILDERS)
def test_bf16_says_nearly_the_same_in_float32(name: str, log: list[str]) -> None:
    plain = model_of(name)
    quick = fast(plain, 'bf16')
    with torch.inference_mode():
        inputs = plain.data_preprocessor(make_batch())['inputs']
        wanted, got = flat(plain.extract_feat(inputs)), flat(quick.extract_feat(inputs))
    for one, other in zip(got, wanted, strict=True):
        assert one.dtype == torch.float32
        assert 0 < (one - other).norm() < 0.05 * other.norm()
    first, second = predicted(plain), predicted(quick)
    if 'pred_instances' in first:
        best = [x.pred_instances.scores.sort(descending=True)[0][:10] for x in (first, second)]
        assert best[1].dtype == torch.float32
        torch.testing.assert_close(*best, rtol=0, atol=0.02)
    assert not any('as it is' in line for line in log)


def test_the_model_is_left_as_it_is() -> None:
    plain = copy.deepcopy(model_of('MaskRCNN'))
    state, outputs = copy.deepcopy(plain.state_dict()), raw(plain)
    kinds = [type(module) for module in plain.modules()]
    quick = fast(plain, 'fp32')
    raw(quick)
    assert [type(module) for module in plain.modules()] == kinds
    assert plain.state_dict().keys() == state.keys()
    assert all(torch.equal(plain.state_dict()[key], state[key]) for key in state)
    assert all(map(torch.equal, raw(plain), outputs))
    assert isinstance(quick, type(plain)) and type(quick).__name__ == type(plain).__name__
    assert any(isinstance(module, PackedConv2d) for module in quick.modules())


def test_a_fast_copy_cannot_be_trained() -> None:
    quick = fast(model_of('RetinaNet'), 'fp32')
    assert not quick.eval().training
    with pytest.raises(ValueError, match='predicts only'):
        quick.train()


class Strided(nn.Module):
    """Refuses channels-last maps; stands for code of a detector that does."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1).view(x.shape)


def test_goes_on_as_the_model_where_a_prediction_fails(log: list[str]) -> None:
    plain = copy.deepcopy(model_of('RetinaNet'))
    plain.backbone.maxpool = nn.Sequential(plain.backbone.maxpool, Strided())
    quick = fast(plain, 'fp32')
    for _ in range(2):
        assert torch.equal(
            predicted(quick).pred_instances.scores, predicted(plain).pred_instances.scores
        )
    (line,) = [line for line in log if 'as it is' in line]
    assert 'RuntimeError: view size is not compatible' in line and '\n' not in line


def test_an_error_of_the_model_is_the_models_own() -> None:
    quick = fast(model_of('RetinaNet'), 'fp32')
    with pytest.raises(RuntimeError, match='expected input'), torch.inference_mode():
        quick.extract_feat(torch.zeros(1, 5, 64, 64))
    predicted(quick)
    assert not quick.fallback_reason


def test_a_precision_that_there_is_not() -> None:
    with pytest.raises(InputError, match="expected one of auto, fp32, bf16, fp16, got 'int8'"):
        fast(model_of('RetinaNet'), 'int8')


def test_an_entry_called_inside_another_is_part_of_it() -> None:
    """The class's own methods see each other; the copy is one of the class."""
    quick = fast(model_of('RetinaNet'), 'bf16')
    seen = []
    with torch.inference_mode():
        quick.backbone.register_forward_hook(
            lambda *_: seen.append(torch.is_autocast_enabled('cpu'))
        )
        predicted(quick)
    assert seen == [True] and isinstance(quick, RetinaNet)
    assert not torch.is_autocast_enabled('cpu')


def test_nothing_is_left_of_a_copy_that_is_gone() -> None:
    """Guards of low precision are at the classes of the host while a copy lives."""
    gc.collect()
    model, before = model_of('RetinaNet'), patches.count(NMSop, 'forward')
    function = NMSop.forward
    quick = fast(model, 'bf16')
    assert patches.count(NMSop, 'forward') == before + 1
    assert NMSop.forward is not function
    predicted(quick)
    del quick
    gc.collect()
    # other copies may live: those that other tests keep, and the garbage of failed ones
    assert patches.count(NMSop, 'forward') <= before
    assert before or NMSop.forward is function
