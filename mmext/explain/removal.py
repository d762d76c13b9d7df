"""In which order to cover a picture so that a score is lost soonest.

Source: Fong and Vedaldi 2017 (meaningful perturbations): a smooth mask is learned that takes the
score away. Deviation: not one mask for one price of its area, but a map whose highest pixels are
covered for several budgets at once, up to the area of the box: the map is an order, as deletion
wants it. It begins with a bell in the box, which is the control it has to beat.

Shape legend: B budgets, ``H x W`` input, ``h x w`` cells of the map.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from mmext.explain.faithfulness import gaussian_in_box

BUDGETS = (0.1, 0.25, 0.5, 0.75, 1.0)  # of the area of the box
_CELLS = 6  # along the side of a square of the area of the box: finer masks are adversarial
_LEAST_CELL_PX = 4
_HEIGHT, _SOFTNESS, _RATE = 4.0, 0.25, 0.15  # of the bell, of the edge of a mask, of learning


def removal_map(
    score: Callable[[Tensor], Tensor], inputs: Tensor, box_xyxy: Sequence[float], steps: int
) -> Tensor:
    """A map ``[H, W]``: what is positive is covered within the area of the box, the highest first.

    Args:
        score: of inputs ``[B, 3, H, W]``: ``[B]``, with a graph.
        inputs: ``[1, 3, H, W]``; what is covered is 0, the mean color.
        box_xyxy: of the object, px of the input.
        steps: of learning; each costs a gradient of B inputs.
    """
    size = (inputs.shape[2], inputs.shape[3])
    area = (box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1])
    area = min(max(area, 1.0), 0.9 * size[0] * size[1])
    cell = max(_LEAST_CELL_PX, area**0.5 / _CELLS)
    grid = (max(2, round(size[0] / cell)), max(2, round(size[1] / cell)))
    bell = torch.from_numpy(gaussian_in_box(size, box_xyxy))[None, None].to(inputs)
    cells = (_HEIGHT * adaptive_avg_pool2d(bell, grid)).requires_grad_()
    counts = [max(1, round(budget * area)) for budget in BUDGETS]
    optimizer = torch.optim.Adam([cells], lr=_RATE)
    best, lowest = cells.detach().clone(), float('inf')
    for step in range(steps + 1):
        order = interpolate(cells, size, mode='bilinear', align_corners=False)  # [1, 1, H, W]
        covered = torch.sigmoid((order - _thresholds(order, counts)) / _SOFTNESS)  # [B, 1, H, W]
        left = score(inputs * (1 - covered)).mean()
        if float(left.detach()) < lowest:
            best, lowest = cells.detach().clone(), float(left.detach())
        if step < steps:
            (cells.grad,) = torch.autograd.grad(left, [cells])
            optimizer.step()
    order = interpolate(best, size, mode='bilinear', align_corners=False)
    return (order - _thresholds(order, counts[-1:]))[0, 0]


def _thresholds(order: Tensor, counts: Sequence[int]) -> Tensor:
    """``[B, 1, 1, 1]``: the values that so many pixels are not below."""
    sorted_values = order.detach().flatten().sort(descending=True).values
    return sorted_values[[count - 1 for count in counts]].view(-1, 1, 1, 1)
