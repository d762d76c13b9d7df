"""What the host's hourglass leaves undone; its function is checked with the released names."""

import pytest
import torch
from mmdet.models.backbones import HourglassNet as HostHourglassNet
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmext.layers.hourglass import HourglassNet

SIZES = dict(downsample_times=2, stage_channels=[8, 8, 12], stage_blocks=[2, 1, 2], feat_channel=8)


@pytest.mark.parametrize('stacks', [1, 2, 3])
def test_the_same_function_as_the_hosts(stacks: int) -> None:
    host, ours = (cls(num_stacks=stacks, **SIZES) for cls in (HostHourglassNet, HourglassNet))
    missing, unexpected = ours.load_state_dict(host.state_dict(), strict=False)
    assert not missing
    assert all(key.startswith('inters.') for key in unexpected)
    assert bool(unexpected) == (stacks == 1)  # the host's unused residual
    images = torch.randn(1, 3, 37, 50)  # sizes that halve unevenly
    for actual, expected in zip(ours.eval()(images), host.eval()(images), strict=True):
        assert torch.equal(actual, expected)


@pytest.mark.parametrize('stacks', [1, 2])
def test_every_parameter_gets_a_gradient(stacks: int) -> None:
    net = HourglassNet(num_stacks=stacks, **SIZES)
    sum(out.sum() for out in net(torch.randn(2, 3, 32, 32))).backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None]


def test_the_normalisation_reaches_every_layer() -> None:
    net = HourglassNet(norm_cfg=dict(type='GN', num_groups=4), **SIZES)
    kinds = [type(m) for m in net.modules() if isinstance(m, nn.GroupNorm | _BatchNorm)]
    assert set(kinds) == {nn.GroupNorm}
    host = HostHourglassNet(norm_cfg=dict(type='GN', num_groups=4), **SIZES)
    assert any(isinstance(m, _BatchNorm) for m in host.modules())  # what is put right here
    assert len(net(torch.randn(1, 3, 32, 32))) == 2


def test_checkpointing_gives_the_same_gradients() -> None:
    images, grads = torch.randn(1, 3, 32, 32), []
    plain, lean = HourglassNet(**SIZES), HourglassNet(with_cp=True, **SIZES)
    lean.load_state_dict(plain.state_dict())
    for net in (plain, lean):
        net.train()(images)[-1].square().sum().backward()
        grads.append([p.grad for _, p in sorted(net.named_parameters())])
    for actual, expected in zip(*grads, strict=True):
        assert (actual is None) == (expected is None)
        if actual is not None:
            torch.testing.assert_close(actual, expected)


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r'stage_channels and stage_blocks: .* 3 and 2'):
        HourglassNet(2, stage_channels=[8, 8, 8], stage_blocks=[1, 1])
