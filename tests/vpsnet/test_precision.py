"""One training step and a stream in bf16 and fp16, against float32.

Tolerances of the gradients as for the other detectors: relative L2 norm 0.15 in bf16, 0.05 in
fp16. BatchNorm uses its running statistics.
"""

import copy

import pytest
import torch

from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.hooks.mixed_precision.verification import DtypeCensus

torch.set_num_threads(1)
TOLERANCE = {'bf16': 0.15, 'fp16': 0.05}


def step(model, batch, precision):
    """Gradients of one step, and which guards fired."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    wrapper = PrecisionOptimWrapper(optimizer, precision=precision, loss_scale=64.0)
    gradients = []
    optimizer.register_step_pre_hook(
        lambda *_: gradients.extend(p.grad.flatten().double() for p in model.parameters())
    )
    wrapper.attach(model)
    try:
        if wrapper.guards is not None:
            wrapper.census = DtypeCensus(wrapper.guards)
        torch.manual_seed(1)
        logs = model.train_step(copy.deepcopy(batch), wrapper)
        if wrapper.census is not None:
            wrapper.census.check()
        fired = set(wrapper.guards.fired) if wrapper.guards is not None else set()
    finally:
        if wrapper.guards is not None:
            wrapper.guards.remove()
    return logs['loss'].item(), torch.cat(gradients), fired


@pytest.mark.parametrize('neck', ['FuseNeck', 'GatedFuseNeck'])
@pytest.mark.parametrize('precision', TOLERANCE)
def test_a_training_step(vpsnet_config, build_model, make_clip, make_pairs, precision, neck):
    vpsnet_config.fuse_neck.type = f'mmext.{neck}'
    batch = make_pairs(make_clip(size_hw=(64, 96)), [(0, 1)])
    loss, expected, _ = step(build_model(vpsnet_config), batch, 'fp32')
    low_loss, actual, fired = step(build_model(vpsnet_config), batch, precision)
    assert abs(low_loss - loss) < 0.01 * loss
    assert actual.isfinite().all()
    assert (actual - expected).norm() < TOLERANCE[precision] * expected.norm()
    assert fired >= {'optical flow', 'RoI extractors', 'box and mask arithmetic', 'losses'}


@pytest.mark.parametrize('precision', TOLERANCE)
def test_a_stream(vpsnet, make_clip, precision):
    """Fused features are within the rounding of the format; ids are given and unique."""
    clip, outputs = make_clip(size_hw=(64, 96)), []
    vpsnet.fuse_neck.register_forward_hook(lambda *args: outputs.append(args[-1]))
    optimizer = torch.optim.SGD(vpsnet.parameters(), lr=1e-5)
    wrapper = PrecisionOptimWrapper(optimizer, precision=precision, loss_scale=64.0)
    vpsnet.eval()
    stream(vpsnet, clip)
    wrapper.attach(vpsnet)
    try:
        with torch.autocast('cpu', wrapper.choice.dtype):
            result = stream(vpsnet, clip)
    finally:
        wrapper.guards.remove()
    ids = result.pred_instances.instances_ids
    assert len(ids[ids > 0].unique()) == (ids > 0).sum() > 0
    for full, low in zip(outputs[2], outputs[5], strict=True):
        assert low.dtype != full.dtype
        assert (low.float() - full).norm() < 0.03 * full.norm()


def stream(model, clip):
    """The prediction of the last frame."""
    model.reset()
    for frame, sample in zip(*clip, strict=True):
        with torch.no_grad():
            data = dict(inputs=[frame], data_samples=[sample.clone()])
            (result,) = model.test_step(data)
    return result
