"""Packed convolutions against torch's, and what is fused with them."""

from collections.abc import Callable

import pytest
import torch
from mmcv.cnn import ConvModule
from mmdet.models.backbones import ResNet
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from mmext.inference.cpu_kernels import use_cpu_kernels
from mmext.inference.norm_folding import fold_norms
from mmext.inference.packed_convolutions import PackedConv2d, can_pack, pack_convolutions

pytestmark = pytest.mark.skipif(not can_pack(), reason='torch without oneDNN')
SHAPES = [(1, 8, 20, 24), (3, 8, 9, 7), (1, 8, 5, 5)]


def random(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('out', 'kernel', 'options'),
    [
        (16, 3, dict(padding=1)),
        (8, 3, dict(groups=8, stride=2, padding=1)),
        (4, 1, dict(bias=False)),
        (1, (1, 3), dict(padding=(0, 2), dilation=(1, 2))),
        (6, 5, dict(groups=2, padding=2)),
    ],
)
def test_is_the_convolution(out: int, kernel: int, options: dict) -> None:
    """Also for other sizes than the first, contiguous or channels-last, and none at all."""
    layer = nn.Conv2d(8, out, kernel, **options).requires_grad_(False)
    model = nn.Sequential(layer)
    inputs = [random(shape) for shape in SHAPES]
    inputs += [x.contiguous(memory_format=torch.channels_last) for x in inputs]
    inputs += [random((0, 8, 9, 9)), random((8, 9, 9))]
    wanted = [layer(x) for x in inputs]
    assert pack_convolutions(model) == 1 and type(layer) is PackedConv2d
    for x, expected in zip(inputs, wanted, strict=True):
        close(model(x), expected)


def test_whole_blocks_of_channels_keep_the_order_of_the_first_size() -> None:
    layer = nn.Conv2d(16, 32, 3, padding=1).requires_grad_(False)
    inputs = [random((n, 16, h, w)) for n, _, h, w in SHAPES]
    wanted = [layer(x) for x in inputs]
    pack_convolutions(nn.Sequential(layer))
    for x, expected in zip(inputs, wanted, strict=True):
        close(layer(x), expected)


def test_has_gradients_to_its_input() -> None:
    layer = nn.Conv2d(8, 4, 3)
    x, y = (random(SHAPES[0]).requires_grad_() for _ in range(2))
    layer(x).square().sum().backward()
    pack_convolutions(nn.Sequential(layer))
    layer(y).square().sum().backward()
    assert x.grad is not None and y.grad is not None
    close(y.grad, x.grad)


@pytest.mark.parametrize(
    'activation',
    [
        dict(type='ReLU'),
        dict(type='LeakyReLU', negative_slope=0.1),
        dict(type='Swish'),
        dict(type='SiLU'),
        dict(type='ReLU6'),
        dict(type='Sigmoid'),
        dict(type='GELU'),
        dict(type='HSwish'),
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize('order', [('conv', 'norm', 'act'), ('act', 'conv', 'norm')], ids=str)
def test_module_with_its_activation(activation: dict | None, order: tuple[str, ...]) -> None:
    """Those that oneDNN does not know stay modules of their own."""
    module = ConvModule(8, 8, 3, norm_cfg=dict(type='BN'), act_cfg=activation, order=order).eval()
    module.requires_grad_(False)
    x = random(SHAPES[0]) * 4
    wanted = [module(x.clone()), module(x.clone(), activate=False)]
    fold_norms(module)
    pack_convolutions(module)
    close(module(x.clone()), wanted[0])
    close(module(x.clone(), activate=False), wanted[1])


def test_a_convolution_of_two_modules_keeps_both_activations() -> None:
    first, second = ConvModule(8, 8, 3), ConvModule(8, 8, 3, act_cfg=None)
    second.conv = first.conv
    model = nn.ModuleList([first, second]).requires_grad_(False)
    x = random(SHAPES[0])
    wanted = [first(x), second(x)]
    pack_convolutions(model)
    close(first(x), wanted[0])
    close(second(x), wanted[1])


def sequence() -> nn.Module:
    relu = nn.ReLU(inplace=True)
    conv = nn.Conv2d(8, 8, 3, padding=1)
    return nn.Sequential(nn.Conv2d(8, 8, 1), relu, conv, conv, relu, nn.GELU())


def dcn_block() -> nn.Module:
    return Bottleneck(8, 2, dcn=dict(type='DCNv2', deform_groups=1))


def with_plugin() -> nn.Module:
    plugin = dict(cfg=dict(type='ContextBlock', ratio=0.5), position='after_conv2')
    return Bottleneck(8, 2, plugins=[plugin])


@pytest.mark.parametrize(
    'build',
    [
        sequence,
        lambda: BasicBlock(8, 8),
        lambda: Bottleneck(8, 2),
        lambda: Bottleneck(8, 2, norm_cfg=dict(type='GN', num_groups=2)),
        dcn_block,
        with_plugin,
        lambda: ResNet(18, in_channels=8, base_channels=4, stem_channels=4, deep_stem=True),
        lambda: ResNet(50, in_channels=8, base_channels=4, stem_channels=4, avg_down=True),
    ],
    ids=['sequence', 'basic', 'bottleneck', 'GN', 'DCN', 'plugin', 'deep stem', 'avg down'],
)
def test_blocks_and_what_they_were_given_stay(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = build()
    model.eval()
    model.requires_grad_(False)
    x = random(SHAPES[0])
    kept = x.clone()
    wanted = model(x.clone())
    use_cpu_kernels(model)  # mmcv's would read channels-last maps wrongly
    fold_norms(model)
    assert pack_convolutions(model)
    got = model(x)
    pairs = zip(got, wanted, strict=True) if isinstance(wanted, tuple) else [(got, wanted)]
    for one, other in pairs:
        close(one, other)
    assert torch.equal(x, kept)


def test_padding_that_onednn_does_not_know_stays() -> None:
    layers = [
        nn.Conv2d(8, 8, 3, padding=1, padding_mode='reflect'),
        nn.Conv2d(8, 8, 3, padding='same'),
    ]
    assert pack_convolutions(nn.Sequential(*layers)) == 0
