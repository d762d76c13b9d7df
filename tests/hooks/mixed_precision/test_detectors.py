"""The promised detectors at tiny size: one training step and one prediction against float32.

Measured distances over these models: gradients, relative L2 norm of the difference over all
parameters, up to 0.09 in bf16 (7 bits of mantissa below the leading one) and 0.03 in fp16
(10 bits); the tests allow 0.15 and 0.05. Where RoIs are sampled, a few of them differ.
BatchNorm uses its running statistics: batch statistics over the four values that a map of
2 x 2 has would amplify the rounding.
"""

from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from small_models import BUILDERS, build_small, make_batch

from mmext.hooks.mixed_precision.casting import to_float32
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.hooks.mixed_precision.verification import DtypeCensus

GRADIENT_TOLERANCE = {'bf16': 0.15, 'fp16': 0.05}
LOW = ['bf16', 'fp16']


class Result(NamedTuple):
    """One step and one prediction."""

    loss: float
    gradients: dict[str, torch.Tensor]
    prediction: DetDataSample
    outputs: list[torch.Tensor]
    has_moved: bool
    fired: set[str]


@cache
def run(name: str, precision: str, channels_last: bool = False) -> Result:
    model = build_small(name).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    if channels_last:
        model.to(memory_format=torch.channels_last)
    wrapper = PrecisionOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=1e-5), precision=precision, loss_scale=64.0
    )
    gradients: dict[str, torch.Tensor] = {}
    wrapper.optimizer.register_step_pre_hook(
        lambda *_: gradients.update(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
    )
    before = [p.detach().clone() for p in model.parameters()]
    wrapper.attach(model)
    if wrapper.guards is not None:
        wrapper.census = DtypeCensus(wrapper.guards)
    torch.manual_seed(1)  # of the samplers
    logs = model.train_step(make_batch(), wrapper)
    if wrapper.census is not None:
        wrapper.census.check()
    prediction = predict(model, wrapper)
    fired = set(wrapper.guards.fired) if wrapper.guards is not None else set()
    if wrapper.guards is not None:
        wrapper.guards.remove()
    moved = any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    return Result(logs['loss'].item(), gradients, *prediction, moved, fired)


def predict(model: Any, wrapper: PrecisionOptimWrapper) -> tuple[DetDataSample, list[torch.Tensor]]:
    """As the hook has it done in validation; and the outputs of the heads of one-stage models."""
    low = wrapper.guards is not None
    model.eval()
    torch.manual_seed(1)
    with torch.no_grad(), torch.autocast('cpu', wrapper.choice.dtype if low else None, enabled=low):
        prediction = to_float32(model.test_step(make_batch()))[0]
        if hasattr(model, 'roi_head'):
            return prediction, []
        inputs = model.data_preprocessor(make_batch())['inputs']
        outputs = model.bbox_head(model.extract_feat(inputs))
        return prediction, [level.float() for kind in outputs for level in kind]


def flat(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([gradient.flatten().double() for gradient in gradients.values()])


@pytest.mark.parametrize('precision', LOW)
@pytest.mark.parametrize('name', BUILDERS)
def test_step(name: str, precision: str) -> None:
    full, low = run(name, 'fp32'), run(name, precision)
    assert low.has_moved
    assert abs(low.loss - full.loss) < 0.01 * full.loss
    assert low.gradients.keys() == full.gradients.keys()
    actual, expected = flat(low.gradients), flat(full.gradients)
    assert actual.isfinite().all()
    assert (actual - expected).norm() < GRADIENT_TOLERANCE[precision] * expected.norm()


@pytest.mark.parametrize('precision', LOW)
@pytest.mark.parametrize('name', ['UPSNet', 'MaskRCNN'])
def test_predicted_instances(name: str, precision: str) -> None:
    """Some of the many poor boxes of an untrained model come and go in NMS; the best stay."""
    full, low = (run(name, p).prediction.pred_instances for p in ('fp32', precision))
    assert min(len(full), len(low)) >= 0.8 * max(len(full), len(low)) > 10
    best, expected = (r.scores.sort(descending=True).values[:10] for r in (low, full))
    torch.testing.assert_close(best, expected, atol=0.02, rtol=0)
    best_boxes = full.bboxes[full.scores.argsort(descending=True)[:10]]
    assert bbox_overlaps(best_boxes, low.bboxes).max(1).values.mean() > 0.9


@pytest.mark.parametrize('precision', LOW)
@pytest.mark.parametrize('name', ['CenterNet', 'CornerNet', 'YOLACT', 'YolactEdge', 'RetinaNet'])
def test_outputs_that_are_decoded(name: str, precision: str) -> None:
    """Untrained scores are nearly equal: which of them are the best is decided by rounding."""
    full, low = run(name, 'fp32'), run(name, precision)
    for actual, expected in zip(low.outputs, full.outputs, strict=True):
        # untrained regressions are about 1e-6, below the normal numbers of fp16
        rounding = (
            GRADIENT_TOLERANCE[precision] / 5 * expected.norm() + 1e-4 * expected.numel() ** 0.5
        )
        assert (actual - expected).norm() < rounding
    instances = low.prediction.pred_instances
    assert {instances.scores.dtype, instances.bboxes.dtype} == {torch.float32}
    assert len(instances) == len(full.prediction.pred_instances) > 10
    assert instances.bboxes.isfinite().all()


@pytest.mark.parametrize('precision', LOW)
@pytest.mark.parametrize(
    ('name', 'kind'), [('UPSNet', 'pred_sem_seg'), ('PanopticFPN', 'pred_panoptic_seg')]
)
def test_predicted_labels(name: str, kind: str, precision: str) -> None:
    full, low = (
        run(name, p).prediction.get(kind).sem_seg % INSTANCE_OFFSET for p in ('fp32', precision)
    )
    assert (full == low).float().mean() > 0.97
    assert len(full.unique()) > 2


@pytest.mark.parametrize('name', BUILDERS)
def test_channels_last(name: str) -> None:
    full, low = run(name, 'fp32'), run(name, 'bf16', channels_last=True)
    actual, expected = flat(low.gradients), flat(full.gradients)
    assert (actual - expected).norm() < GRADIENT_TOLERANCE['bf16'] * expected.norm()


@pytest.mark.parametrize(
    ('name', 'guards'),
    [
        ('UPSNet', {'RoI extractors', 'deformable convolutions', 'UPSNet heads after the network'}),
        ('PanopticFPN', {'RoI extractors', 'RoIAlignFunction', 'NMSop'}),
        ('MaskRCNN', {'RoI extractors', 'RoIAlignFunction', 'NMSop'}),
        (
            'CenterNet',
            {'heatmap heads', 'deformable convolutions', 'ModulatedDeformConv2dFunction'},
        ),
        ('CornerNet', {'heatmap heads', 'SoftNMSop'}),
        ('YOLACT', {'losses'}),
        ('YolactEdge', {'losses'}),
        ('RetinaNet', {'losses', 'NMSop'}),
    ],
)
def test_guards_that_fire(name: str, guards: set[str]) -> None:
    assert run(name, 'bf16').fired >= guards | {'losses', 'box and mask arithmetic'}
