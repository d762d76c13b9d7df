"""Layers of mmext against the host's operators: one training step (forward and backward) each.

The loss against plain interpolation and cross-entropy; the deformable convolution and RoIAlign
against mmcv's CPU kernels. Both sides start from the same tensors and take turns in one process;
values must agree. Peak memory is measured in a fresh process per entry (growth of the resident
set).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import torch
from mmcv import ops
from torch import Tensor
from torch.nn import functional as F

from mmext.benchmark.rows import Row, table
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.functional.deformable_conv import deformable_conv2d
from mmext.functional.roi_align import roi_align
from mmext.functional.upsampled_cross_entropy import upsampled_cross_entropy
from mmext.inference.memory import resident_mib

Step = Callable[[], list[Tensor]]
SIDES = ('host', 'ours')


def cross_entropy_steps(classes: int, height: int, width: int) -> tuple[Step, Step]:
    """Logits at 1/4 of height x width px against a label map with an ignored band."""
    logits = torch.randn(1, classes, height // 4, width // 4)
    labels = torch.randint(classes, (1, height, width))
    labels[:, : height // 8] = 255

    def plain(x: Tensor) -> Tensor:
        fine = F.interpolate(x, scale_factor=4, mode='bilinear', align_corners=False)
        return F.cross_entropy(fine, labels, ignore_index=255)

    return partial(_step, plain, logits), partial(
        _step, lambda x: upsampled_cross_entropy(x, labels), logits
    )


def deform_conv_steps(
    in_channels: int, out_channels: int, height: int, width: int
) -> tuple[Step, Step]:
    """A 3x3 layer on one map, offsets of about one pixel."""
    inputs = torch.randn(1, in_channels, height, width)
    offsets = torch.randn(1, 18, height, width)
    weight = torch.randn(out_channels, in_channels, 3, 3) / (9 * in_channels) ** 0.5
    leaves = (inputs, offsets, weight)
    return partial(_step, lambda *x: ops.deform_conv2d(*x, 1, 1), *leaves), partial(
        _step, lambda x, o, w: deformable_conv2d(x, o, w, padding=(1, 1)), *leaves
    )


def roi_align_steps(
    rois: int, size: int, sampling_ratio: int, largest_px: int
) -> tuple[Step, Step]:
    """RoIs of 16 to ``largest_px`` px on the finest level (stride 4) of an 800x1216 image."""
    features = torch.randn(1, 256, 200, 304)
    extents = 16 * (largest_px / 16) ** torch.rand(rois, 2)
    centres = torch.rand(rois, 2) * torch.tensor([1216, 800])
    boxes = torch.cat([torch.zeros(rois, 1), centres - extents / 2, centres + extents / 2], 1)
    arguments = (boxes, (size, size), 0.25, sampling_ratio)
    return partial(_step, lambda x: ops.roi_align(x, *arguments), features), partial(
        _step, lambda x: roi_align(x, *arguments), features
    )


CASES: dict[str, Callable[[], tuple[Step, Step]]] = {
    'loss, 11 classes, 128x128': partial(cross_entropy_steps, 11, 128, 128),
    'loss, 133 classes, 512x512': partial(cross_entropy_steps, 133, 512, 512),
    'loss, 133 classes, 800x1344': partial(cross_entropy_steps, 133, 800, 1344),
    'deformable 256-256, 16x16': partial(deform_conv_steps, 256, 256, 16, 16),
    'deformable 256-256, 32x32': partial(deform_conv_steps, 256, 256, 32, 32),
    'deformable 256-256, 64x64': partial(deform_conv_steps, 256, 256, 64, 64),
    'deformable 256-256, 128x128': partial(deform_conv_steps, 256, 256, 128, 128),
    'deformable 256-128, 128x128': partial(deform_conv_steps, 256, 128, 128, 128),
    'deformable 256-256, 200x304': partial(deform_conv_steps, 256, 256, 200, 304),
    'RoIAlign 512 x 7x7, to 112 px': partial(roi_align_steps, 512, 7, 0, 112),
    'RoIAlign 512 x 7x7, to 400 px': partial(roi_align_steps, 512, 7, 0, 400),
    'RoIAlign 128 x 14x14, to 112 px': partial(roi_align_steps, 128, 14, 0, 112),
    'RoIAlign 512 x 7x7, 2 samples': partial(roi_align_steps, 512, 7, 2, 112),
}
QUICK = (
    'loss, 11 classes, 128x128',
    'deformable 256-256, 16x16',
    'RoIAlign 128 x 14x14, to 112 px',
)


def run(quick: bool = False) -> list[Row]:
    """Measure every case.

    Args:
        quick: three small cases, few repetitions, no memory.

    Returns:
        Time and, unless quick, peak memory of each case.

    Raises:
        AssertionError: if the two sides differ.
    """
    rows = []
    for name in QUICK if quick else CASES:
        host, ours = _steps(name)
        for expected, actual in zip(host(), ours(), strict=True):
            limit = 1e-5 * float(expected.abs().max())
            torch.testing.assert_close(actual, expected, rtol=0, atol=limit)
        sides = dict(zip(SIDES, (host, ours), strict=True))
        times = milliseconds_in_turn(sides, 3 if quick else 5, warmup=0)
        host_ms, ours_ms = (statistics.median(times[side]) for side in SIDES)
        against = 'torch' if name.startswith('loss') else 'mmcv'
        rows.append(Row(name, against, ours_ms, host_ms, 'ms'))
        if not quick:
            host_mib, ours_mib = (_peak_mib(name, side) for side in SIDES)
            rows.append(Row(f'memory of {name}', against, ours_mib, host_mib, 'MiB'))
    return rows


def _step(function: Callable[..., Tensor], *tensors: Tensor) -> list[Tensor]:
    """Value and gradients with respect to all tensors."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    value = function(*leaves)
    value.backward(torch.ones_like(value))
    return [value.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def _steps(name: str) -> tuple[Step, Step]:
    torch.manual_seed(0)
    return CASES[name]()


def _peak_mib(name: str, side: str) -> float:
    """Growth of the resident set while one side runs once in a fresh process."""
    command = [sys.executable, __file__, '--peak-of', name, side]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _print_peak(name: str, side: str) -> None:
    step = _steps(name)[SIDES.index(side)]
    before = resident_mib('VmRSS')
    step()
    print(resident_mib('VmHWM') - before)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='only check that it works')
    parser.add_argument('--threads', type=int, help="default: torch's")
    parser.add_argument('--peak-of', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.peak_of:
        _print_peak(*args.peak_of)
    else:
        print(table(run(args.quick)))


if __name__ == '__main__':
    main()
