"""Networks that enlarge: counts of the publications, independent rebuilds, scales."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.translation.upscalers import ResidualUpscaler, SRResNet


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ('network', 'count'),
    [(SRResNet(num_blocks=5), 734_219), (ResidualUpscaler(), 1_517_571)],
    ids=['SRResNet', 'MSRResNet'],
)
def test_numbers_of_parameters_are_those_published(network: nn.Module, count: int) -> None:
    assert parameters(network) == count


def drawn(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in [*network.parameters(), *network.buffers()]:
            if value.is_floating_point():
                value.copy_(0.1 + 0.1 * torch.rand(value.shape, generator=generator))
    return network.eval()


def test_srresnet_equals_a_restatement() -> None:
    net = drawn(SRResNet(channels=4, num_blocks=2, scale=2))
    w = net.state_dict()

    def conv(x, name):
        weight = w[f'{name}.weight']
        return functional.conv2d(x, weight, w[f'{name}.bias'], padding=weight.shape[-1] // 2)

    def norm(x, name):
        keys = ('running_mean', 'running_var', 'weight', 'bias')
        mean, var, gain, bias = (w[f'{name}.{key}'].view(1, -1, 1, 1) for key in keys)
        return (x - mean) / (var + 1e-5).sqrt() * gain + bias

    def prelu(x, name):
        return torch.where(x > 0, x, w[f'{name}.weight'] * x)

    low = torch.rand(2, 3, 5, 6) * 0.02 - 0.01
    x = start = prelu(conv(low, 'first'), 'prelu')
    for block in ('blocks.0', 'blocks.1'):
        y = prelu(norm(conv(x, f'{block}.conv1'), f'{block}.bn1'), f'{block}.prelu')
        x = x + norm(conv(y, f'{block}.conv2'), f'{block}.bn2')
    x = start + norm(conv(x, 'trunk_conv'), 'trunk_norm')
    x = conv(x, 'upsample.0.upsample_conv')
    n, _, h, width = x.shape
    x = x.view(n, 4, 2, 2, h, width).permute(0, 1, 4, 2, 5, 3).reshape(n, 4, 2 * h, 2 * width)
    expected = conv(prelu(x, 'upsample.0.prelu'), 'last').tanh()
    torch.testing.assert_close(net(low), expected)


@pytest.mark.parametrize('unit_range', [False, True])
def test_residual_upscaler_equals_a_restatement(unit_range: bool) -> None:
    net = drawn(ResidualUpscaler(channels=4, num_blocks=2, scale=4, unit_range=unit_range))
    w = net.state_dict()

    def conv(x, name):
        return functional.conv2d(x, w[f'{name}.weight'], w[f'{name}.bias'], padding=1)

    def leaky(x):
        return torch.maximum(x, 0.1 * x)

    low = torch.rand(2, 3, 5, 6) * 2 - 1
    seen = (low + 1) / 2 if unit_range else low
    x = leaky(conv(seen, 'conv_first'))
    for number in range(2):
        name = f'trunk_net.{number}'
        x = x + conv(conv(x, f'{name}.conv1').clamp(min=0), f'{name}.conv2')
    for number in (1, 2):
        x = leaky(nn.PixelShuffle(2)(conv(x, f'upsample{number}.upsample_conv')))
    large = nn.Upsample(scale_factor=4, mode='bilinear', align_corners=False)(seen)
    expected = conv(leaky(conv(x, 'conv_hr')), 'conv_last') + large
    torch.testing.assert_close(net(low), 2 * expected - 1 if unit_range else expected)


@pytest.mark.parametrize('scale', [2, 4, 8])
@pytest.mark.parametrize('kind', [SRResNet, ResidualUpscaler])
def test_every_scale_and_all_weights_learn(kind: type[nn.Module], scale: int) -> None:
    net = kind(channels=4, num_blocks=1, scale=scale)
    low = torch.rand(2, 3, 4, 5)
    high = net(low)
    assert high.shape == (2, 3, 4 * scale, 5 * scale)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(2):  # the last layer of one of them begins at zero
        optimizer.zero_grad()
        net(low).square().mean().backward()
        optimizer.step()
    assert all(weight.grad.abs().sum() > 0 for weight in net.parameters() if weight.dim() > 1)


def test_untrained_it_is_bilinear() -> None:
    low = torch.rand(1, 3, 6, 7)
    expected = functional.interpolate(low, scale_factor=4, mode='bilinear')
    torch.testing.assert_close(ResidualUpscaler(channels=4, num_blocks=1)(low), expected)


@pytest.mark.parametrize('kind', [SRResNet, ResidualUpscaler])
def test_a_batch_equals_its_pictures(kind: type[nn.Module]) -> None:
    net = drawn(kind(channels=4, num_blocks=1))
    low = torch.rand(2, 3, 5, 5) * 0.01
    torch.testing.assert_close(net(low), torch.cat([net(low[:1]), net(low[1:])]))


def test_other_scales_are_refused() -> None:
    with pytest.raises(InputError, match=r'scale 3; it can be 2, 4 or 8'):
        SRResNet(scale=3)
