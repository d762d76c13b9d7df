"""Panoptic inference: the running maximum of mmext against one full map per channel.

The dense side computes the same decision the plain way, as the method is written: all semantic
channels upsampled, one H x W map per instance for each of its two terms, one argmax over the
stack. Both start from the logits at 1/4, run in one process in turn, and must agree on all but
a pixel of 100,000. Peak memory is measured in a fresh process per entry (growth of the resident
set).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.benchmark.rows import Row, table
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.inference.memory import resident_mib
from mmext.upsnet.panoptic_composition import compose_panoptic


class Case(NamedTuple):
    """Image size and classes of a data set."""

    height: int
    width: int
    num_things: int
    num_stuff: int


CASES = {
    '1024x2048, 19 classes': Case(1024, 2048, 8, 11),
    '800x1216, 133 classes': Case(800, 1216, 80, 53),
}
COUNTS = (0, 10, 30, 100)
SIDES = ('dense', 'ours')
AIMS = {30: 6.0, 100: 15.0}  # how many times faster, by the number of instances


def make_scene(case: Case, count: int, seed: int = 0) -> dict[str, Tensor]:
    """Logits and detections of a plausible image: smooth regions, round objects of mixed size."""
    generator = torch.Generator().manual_seed(seed)
    height, width, num_things, num_stuff = case
    h, w, num_classes = height // 4, width // 4, num_things + num_stuff
    regions = torch.randn(1, num_classes, 6, 12, generator=generator) * 3
    semantic = F.interpolate(regions, size=(h, w), mode='bicubic')[0]
    semantic += torch.randn(semantic.shape, generator=generator) * 0.5

    sides = 2 ** torch.empty(count, 2).uniform_(4, 8.7, generator=generator)  # 16 to 416 pixels
    corners = torch.rand(count, 2, generator=generator) * torch.tensor([width, height])
    ends = torch.minimum(corners + sides, torch.tensor([width, height]))
    axis = torch.linspace(-1.1, 1.1, 28)
    disc = 6 * (1 - axis[:, None] ** 2 - axis[None] ** 2)
    return dict(
        semantic_logits=semantic.contiguous(),
        mask_logits=disc + torch.randn(count, 28, 28, generator=generator) * 0.3,
        boxes_xyxy=torch.cat((corners, ends), dim=1),
        labels=torch.randint(num_things, (count,), generator=generator),
        scores=torch.rand(count, generator=generator).sort(descending=True).values,
    )


def compose_dense(
    semantic_logits: Tensor,
    mask_logits: Tensor,
    boxes_xyxy: Tensor,
    labels: Tensor,
    scores: Tensor,
    num_things: int,
) -> tuple[Tensor, Tensor]:
    """Panoptic channels and semantic labels with n x H x W maps; scores must descend."""
    stuff_first = torch.cat((semantic_logits[num_things:], semantic_logits[:num_things]))
    full = F.interpolate(stuff_first[None], scale_factor=4, mode='bilinear')[0]
    num_classes, height, width = full.shape
    num_stuff = num_classes - num_things
    semantic = (full.max(dim=0).indices + num_things) % num_classes  # `max` beats `argmax`

    count = len(labels)
    mask_terms = full.new_zeros(count, height, width)
    seg_terms = full.new_zeros(count, height, width)
    canvases = full.new_zeros(num_things, height, width, dtype=torch.bool)
    kept: list[int] = []
    for i, (box, label) in enumerate(zip(boxes_xyxy.tolist(), labels.tolist(), strict=True)):
        x1, y1, x2, y2 = (int(value) for value in box)
        size = (y2 - y1 + 1, x2 - x1 + 1)
        patch = F.interpolate(mask_logits[i, None, None], size=size, mode='bilinear')[0, 0]
        patch = patch[: height - y1, : width - x1]
        mask, canvas = patch > 0, canvases[label, y1 : y2 + 1, x1 : x2 + 1]
        area = mask.sum().item()
        if area == 0 or (mask & canvas).sum().item() / area > 0.3:
            continue
        canvas |= mask
        mask_terms[len(kept), y1 : y2 + 1, x1 : x2 + 1] = patch
        window = (slice(y1, round(box[3]) + 1), slice(x1, round(box[2]) + 1))
        seg_terms[len(kept)][window] = full[num_stuff + label][window]
        kept.append(i)
    mask_terms, seg_terms = mask_terms[: len(kept)], seg_terms[: len(kept)]
    unknown = full[num_stuff:].amax(dim=0)
    if kept:
        unknown -= seg_terms.amax(dim=0)
    logits = torch.cat((full[:num_stuff], seg_terms + mask_terms, unknown[None]))
    return logits.max(dim=0).indices, semantic


def run(quick: bool = False) -> list[Row]:
    """Measure every case.

    Args:
        quick: few instances, few repetitions, no memory: a check that the benchmark works.

    Returns:
        Time and, unless quick, peak memory by case and number of instances.

    Raises:
        AssertionError: if the two sides differ in more than a pixel of 100,000.
    """
    rows = []
    for name, case in CASES.items():
        for count in COUNTS[:2] if quick else COUNTS:
            scene = make_scene(case, count)
            sides = {side: _side(side, scene, case) for side in SIDES}
            for expected, actual in zip(*(sides[side]() for side in SIDES), strict=False):
                # where two logits are all but equal, the last bit decides for one
                differs = (expected.int() != actual).float().mean()
                assert differs < 1e-5, f'{name}, n={count}: {differs:.6%} of the pixels differ'
            times = milliseconds_in_turn(sides, 1 if quick else 7, warmup=0)
            dense_ms, ours_ms = (statistics.median(times[side]) for side in SIDES)
            what = f'panoptic inference, {name}, {count} instances'
            rows.append(Row(what, 'dense maps', ours_ms, dense_ms, 'ms', AIMS.get(count)))
            if not quick:
                dense_mib, ours_mib = (_peak_mib(name, count, side) for side in SIDES)
                rows.append(Row(f'memory of {what}', 'dense maps', ours_mib, dense_mib, 'MiB'))
    return rows


def _side(side: str, scene: dict[str, Tensor], case: Case) -> Callable[[], tuple[Tensor, ...]]:
    function: Callable[..., Any] = compose_dense if side == 'dense' else compose_panoptic
    return lambda: function(**scene, num_things=case.num_things)


def _peak_mib(name: str, count: int, side: str) -> float:
    """Growth of the resident set while one side runs once in a fresh process."""
    command = [sys.executable, __file__, '--peak-of', name, str(count), side]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _print_peak(name: str, count: str, side: str) -> None:
    case = CASES[name]
    function = _side(side, make_scene(case, int(count)), case)
    before = resident_mib('VmRSS')
    function()
    print(resident_mib('VmHWM') - before)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description='Panoptic inference, dense against mmext.')
    parser.add_argument('--quick', action='store_true', help='only check that it works')
    parser.add_argument('--peak-of', nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak_of:
        _print_peak(*args.peak_of)
    else:
        print(table(run(args.quick)))


if __name__ == '__main__':
    main()
