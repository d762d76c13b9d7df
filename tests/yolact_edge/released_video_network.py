"""What the released YolactEdge computes between key frames, restated plainly with its names.

Nothing of mmext is used here: it is what the converted network is compared with.
"""

import torch
import torch.nn.functional as F
from released_yolact_network import State, convolve
from torch import Tensor

Level = tuple[Tensor, Tensor, Tensor]  # flow, scale, bias


def leaky(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    return F.leaky_relu(convolve(state, name, x, stride, 1), 0.1)


def resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode='bilinear', align_corners=False)


def encode(state: State, lateral: Tensor) -> Tensor:
    return leaky(state, 'flow_net_pre_convs.convs.0.0', lateral)


def flow_net(state: State, x: Tensor) -> dict[int, Level]:
    """Of encoded laterals, the current frame's before the key frame's: levels 1 to 3."""
    own = {}
    for level in (1, 2, 3):
        x = leaky(state, f'flow_net.conv{level}.0.0', x, 1 if level == 1 else 2)
        x = own[level] = leaky(state, f'flow_net.conv{level}.1.0', x)
    said = {3: predict(state, 3, own[3])}
    features = own[3]
    for level in (2, 1):
        up = level + 1
        below = convolve(state, f'flow_net.upfeat{up}', resized(features, own[level]), 1, 1)
        flow = convolve(state, f'flow_net.upflow{up}', resized(said[up][0], own[level]), 1, 1)
        features = torch.cat([own[level], below, flow], 1)
        said[level] = predict(state, level, features)
    return said


def predict(state: State, level: int, x: Tensor) -> Level:
    name = f'flow_net.pred{level}'
    return (
        convolve(state, f'{name}.conv', x, 1, 1),
        convolve(state, f'{name}.scale', x),
        convolve(state, f'{name}.bias', x),
    )


def moved(key_map: Tensor, level: Level) -> Tensor:
    flow, scale, bias = level
    _, _, height, width = key_map.shape
    columns, rows = torch.linspace(-1, 1, width), torch.linspace(-1, 1, height)
    places = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], -1)
    read = places + flow.permute(0, 2, 3, 1) / 8
    return F.grid_sample(key_map, read, align_corners=True) * scale + bias


def between_keys(state: State, lateral: Tensor, key_lateral: Tensor, key_maps: list[Tensor]):
    """The three levels before the smoothing; ``key_maps`` are W4 and W5 of the key frame."""
    pair = torch.cat([encode(state, lateral), encode(state, key_lateral)], 1)
    said = flow_net(state, pair)
    levels = [moved(key_map, said[i]) for key_map, i in zip(key_maps, (2, 3), strict=True)]
    finest = resized(levels[0], lateral) + lateral
    c = lateral
    for place, level in enumerate(levels):
        c = resized(c, level)
        correction = leaky(state, f'spa.refine_convs.{place}.0', torch.cat([level, c], 1))
        levels[place] = level + correction
    return [finest, *levels]
