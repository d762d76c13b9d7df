"""Our deformable layers against mmcv's on a CPU: values, gradients, protocol."""

import mmdet.models  # noqa: F401 (the scope mmdet, parent of mmext)
import pytest
import torch
from mmcv import ops
from mmcv.cnn import ConvModule
from torch import nn

from mmext.layers.deform_conv import DeformConv2dPack, ModulatedDeformConv2dPack

LAYERS = [
    (DeformConv2dPack, ops.DeformConv2dPack),
    (ModulatedDeformConv2dPack, ops.ModulatedDeformConv2dPack),
]
GEOMETRIES = [
    dict(padding=1),
    dict(padding=1, stride=2),
    dict(padding=2, dilation=2),
    dict(padding=1, stride=2, dilation=2),
    dict(padding=0),
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def pair_of_layers(ours_class, host_class, spread=1.0, **geometry):
    """Ours and the host's with the same parameters, offsets of about ``spread`` px."""
    ours = ours_class(6, 5, 3, bias=False, **geometry)
    nn.init.normal_(ours.conv_offset.weight, std=spread / (6 * 9) ** 0.5)
    host = host_class(6, 5, 3, bias=False, **geometry)
    host.load_state_dict(ours.state_dict())
    return ours, host


def outputs_and_grads(layer, x):
    x = x.clone().requires_grad_()
    outputs = layer(x)
    outputs.backward(torch.linspace(-1, 1, outputs.numel()).view(outputs.shape))
    return [outputs.detach(), x.grad, *(parameter.grad for parameter in layer.parameters())]


def assert_same(ours, host, x):
    for tensor, expected in zip(
        outputs_and_grads(ours, x), outputs_and_grads(host, x), strict=True
    ):
        limit = 1e-5 * max(float(expected.abs().max()), 1)
        torch.testing.assert_close(tensor, expected, rtol=0, atol=limit)


@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('spread', [0.0, 0.7, 6.0])
@pytest.mark.parametrize(('ours_class', 'host_class'), LAYERS)
def test_equals_the_host_layer(ours_class, host_class, spread, geometry):
    ours, host = pair_of_layers(ours_class, host_class, spread, **geometry)
    assert_same(ours, host, torch.randn(2, 6, 9, 7))


@pytest.mark.parametrize(('ours_class', 'host_class'), LAYERS)
def test_equals_the_host_layer_at_whole_offsets(ours_class, host_class):
    """There the floor jumps, and samples lie exactly one pixel outside."""
    ours, host = pair_of_layers(ours_class, host_class, spread=0.0, padding=1)
    offsets = torch.randint(-3, 4, ours.conv_offset.bias.shape).float()
    for layer in (ours, host):
        layer.conv_offset.bias.data.copy_(offsets)
    assert_same(ours, host, torch.randn(2, 6, 8, 8))


def test_groups_use_the_host_kernel():
    geometry = dict(padding=1, groups=2, deform_groups=3)
    ours = DeformConv2dPack(6, 4, 3, bias=True, **geometry)
    nn.init.normal_(ours.conv_offset.weight, std=0.2)
    nn.init.normal_(ours.bias)
    host = ops.DeformConv2dPack(6, 4, 3, **geometry)
    host.load_state_dict(ours.state_dict(), strict=False)
    x = torch.randn(1, 6, 5, 5)
    torch.testing.assert_close(ours(x), host(x) + ours.bias.view(-1, 1, 1))


def test_bias_is_added():
    ours, host = pair_of_layers(*LAYERS[0], padding=1)
    ours.bias = nn.Parameter(torch.randn(5))
    x = torch.randn(1, 6, 5, 5)
    torch.testing.assert_close(ours(x), host(x) + ours.bias.view(-1, 1, 1))


def test_starts_as_a_plain_convolution():
    layer = DeformConv2dPack(64, 64, 3, padding=1)
    x = torch.randn(1, 64, 6, 6)
    torch.testing.assert_close(
        layer(x), nn.functional.conv2d(x, layer.weight, padding=1), rtol=1e-4, atol=1e-4
    )
    assert not layer.bias.any()
    assert not layer.conv_offset.weight.any()
    assert layer.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


def test_init_weights_restores_what_an_init_cfg_overwrote():
    layer = DeformConv2dPack(4, 4, 3, padding=1)
    nn.init.ones_(layer.conv_offset.weight)
    layer.init_weights()
    assert not layer.conv_offset.weight.any()


def test_names_and_bias_in_a_conv_module():
    module = ConvModule(4, 6, 3, padding=1, conv_cfg=dict(type='mmext.DeformConv2dPack'))
    assert isinstance(module.conv, DeformConv2dPack)
    assert [name for name, _ in module.named_parameters()] == [
        'conv.weight',
        'conv.bias',
        'conv.conv_offset.weight',
        'conv.conv_offset.bias',
    ]
    assert 'bias=True' in repr(module)
    assert module(torch.randn(2, 4, 3, 3)).shape == (2, 6, 3, 3)


def test_gradient_reaches_every_parameter():
    layer = DeformConv2dPack(4, 4, 3, padding=1)
    layer(torch.randn(1, 4, 5, 5)).square().sum().backward()
    assert all(parameter.grad.any() for parameter in layer.parameters())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('layer_class', [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_autocast_computes_in_float32(layer_class, dtype):
    layer = layer_class(4, 4, 3, padding=1, bias=True)
    nn.init.normal_(layer.conv_offset.weight, std=0.2)
    x = torch.randn(1, 4, 5, 5).to(dtype)
    expected = layer(x.float())
    with torch.autocast('cpu', dtype=dtype):
        outputs = layer(x.requires_grad_())
    outputs.float().sum().backward()
    assert outputs.dtype == dtype
    assert torch.equal(outputs, expected.to(dtype))
    assert x.grad.dtype == dtype
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize('layer_class', [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_empty_batch_and_batch_of_two(layer_class):
    layer = layer_class(4, 4, 3, padding=1, bias=True)
    nn.init.normal_(layer.conv_offset.weight, std=0.2)
    x = torch.randn(2, 4, 5, 5)
    assert layer(x[:0]).shape == (0, 4, 5, 5)
    torch.testing.assert_close(layer(x), torch.cat([layer(x[:1]), layer(x[1:])]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('layer_class', [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_gpu_gives_the_same(layer_class):
    layer = layer_class(6, 5, 3, padding=1, bias=True)
    nn.init.normal_(layer.conv_offset.weight, std=0.1)
    x = torch.randn(2, 6, 9, 7)
    expected = layer(x)
    torch.testing.assert_close(layer.cuda()(x.cuda()).cpu(), expected, rtol=1e-4, atol=1e-4)
