"""The pyramid with global context: equal to the plain one plus one vector on the top lateral."""

import torch
from mmdet.models.necks import FPN

from mmext.upsnet.global_context_fpn import GlobalContextFPN


def pyramids() -> tuple[FPN, GlobalContextFPN, list[torch.Tensor]]:
    torch.manual_seed(0)
    arguments = dict(in_channels=[4, 6, 8], out_channels=5, num_outs=4)
    plain, context = FPN(**arguments), GlobalContextFPN(**arguments)
    weights = {
        name.replace('lateral_convs.2.', 'lateral_convs.2.lateral.'): value
        for name, value in plain.state_dict().items()
    }
    context.load_state_dict(weights, strict=False)
    features = [torch.rand(2, c, 16 // 2**i, 16 // 2**i) for i, c in enumerate([4, 6, 8])]
    return plain, context, features


def test_without_context_it_is_the_plain_pyramid():
    plain, context, features = pyramids()
    torch.nn.init.zeros_(context.lateral_convs[-1].context.weight)
    torch.nn.init.zeros_(context.lateral_convs[-1].context.bias)
    for expected, actual in zip(plain(features), context(features), strict=True):
        torch.testing.assert_close(actual, expected)


def test_context_is_the_projected_mean_of_the_last_stage():
    plain, context, features = pyramids()
    module = context.lateral_convs[-1]
    vector = features[-1].mean(dim=(2, 3)) @ module.context.weight.T + module.context.bias
    torch.testing.assert_close(
        module(features[-1]) - plain.lateral_convs[-1](features[-1]),
        vector[:, :, None, None].expand(2, 5, 4, 4),
    )


def test_context_reaches_every_level_and_learns():
    _, context, features = pyramids()
    sum(level.sum() for level in context(features)).backward()
    assert context.lateral_convs[-1].context.weight.grad.abs().sum() > 0
