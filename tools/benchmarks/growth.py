"""How the cost of a prediction grows: with pictures at once, with their size, with objects.

UPSNet with random weights as a fast copy in fp32, one thread. Time is the processor time of this
process, which other programs on the machine hardly change; memory is what a prediction takes at its
peak beyond what the process held before it. The whole takes about a minute of one processor.
`python tools/benchmarks/growth.py --plot growth.png` draws one plot for each of the three.
"""

import argparse
import contextlib
import copy
import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmext.benchmark.inference import calibrate
from mmext.benchmark.machine import machine_facts
from mmext.benchmark.rows import Row
from mmext.benchmark.untrained import smooth_batch, untrained_detector
from mmext.configuration import load_config
from mmext.host import import_mmdet
from mmext.inference.fast import fast
from mmext.inference.memory import forget_peak, resident_mib

CONFIGS = Path(__file__).parents[2] / 'configs'


class Point(NamedTuple):
    """One measurement: what was varied, and what it cost."""

    value: float
    milliseconds: float
    mebibytes: float


class Setting(NamedTuple):
    """What is measured; the first entries are where the others stay."""

    config: str
    pictures: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    objects: tuple[int, ...]
    rounds: int


FULL = Setting(
    'upsnet.py',
    (1, 2, 4),
    ((192, 256), (288, 384), (384, 512)),
    (100, 0, 50, 200),
    2,
)
QUICK = Setting('upsnet_demo.py', (1, 2), ((64, 96), (96, 128)), (10, 0), 1)
AXES = {
    'pictures': 'pictures at once',
    'megapixels': 'size of the picture, megapixels',
    'objects': 'objects in the picture',
}


def run(quick: bool) -> list[Row]:
    """The growth from the first to the last point of each kind, against proportional growth."""
    rows = []
    for axis, points in measure(QUICK if quick else FULL).items():
        first, last = points[0], points[-1]
        if first.value:
            times = last.value / first.value
            what = f'UPSNet, {axis} {first.value:g} to {last.value:g}'
            for unit, ours, start in (
                ('ms', last.milliseconds, first.milliseconds),
                ('MiB', last.mebibytes, first.mebibytes),
            ):
                rows.append(Row(what, 'growth in proportion', ours, start * times, unit))
    return rows


def measure(setting: Setting) -> dict[str, list[Point]]:
    """The points of each kind, ascending."""
    import_mmdet()
    init_default_scope('mmdet')
    MMLogger.get_instance('growth', log_level='ERROR')
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure(setting)
    finally:
        torch.set_num_threads(threads)


def _measure(setting: Setting) -> dict[str, list[Point]]:
    model = untrained_detector(load_config(str(CONFIGS / setting.config)))
    images = smooth_batch(model, setting.sizes[0], cell_px=16)
    calibrate(model, lambda: model.extract_feat(images['inputs']))
    detector = fast(model, 'fp32')
    size = setting.sizes[0]

    costs: dict[tuple[Any, ...], tuple[float, float]] = {}  # one point belongs to all three

    def point(value: float, size_hw: tuple[int, int], pictures: int, objects: int) -> Point:
        key = size_hw, pictures, objects
        if key not in costs:
            _limit_objects(detector, objects)
            batch = _repeated(smooth_batch(model, size_hw, cell_px=16), pictures)
            costs[key] = _cost(detector, batch, setting.rounds)
            said = '{:.0f} ms, {:.0f} MiB'.format(*costs[key])
            print(f'{size_hw}, pictures {pictures}, objects {objects}: {said}', flush=True)
        return Point(value, *costs[key])

    found = {
        'pictures': [point(n, size, n, setting.objects[0]) for n in setting.pictures],
        'megapixels': [point(h * w / 1e6, (h, w), 1, setting.objects[0]) for h, w in setting.sizes],
        'objects': [point(n, size, 1, n) for n in setting.objects],
    }
    return {axis: sorted(points) for axis, points in found.items()}


def _limit_objects(detector: Any, count: int) -> None:
    """Let exactly so many boxes through, whatever their scores."""
    for cfg in (detector.test_cfg.rcnn, detector.test_cfg.panoptic):
        cfg.update(score_thr=0.0 if count else 1.0, max_per_img=max(count, 1))


def _repeated(batch: dict[str, Any], pictures: int) -> dict[str, Any]:
    samples = [copy.deepcopy(batch['data_samples'][0]) for _ in range(pictures)]
    return dict(inputs=batch['inputs'][:1].repeat(pictures, 1, 1, 1), data_samples=samples)


def _cost(detector: Callable[..., Any], batch: dict[str, Any], rounds: int) -> tuple[float, float]:
    """Median milliseconds, and the largest peak in MiB over what the process held before."""
    times, peaks = [], []
    with torch.inference_mode():
        for number in range(rounds + 1):
            frame = copy.deepcopy(batch)
            _give_back_memory()
            before = resident_mib('VmRSS')
            began = time.process_time()
            detector(**frame, mode='predict')
            if number:  # the first one packs weights for the new size
                times.append(1e3 * (time.process_time() - began))
                peaks.append(resident_mib('VmHWM') - before)
    return statistics.median(times), max(peaks)


def _give_back_memory() -> None:
    """Let the peak begin at what the process needs; freed blocks go back to the kernel."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
    forget_peak()


def draw(found: dict[str, list[Point]], path: Path) -> None:
    """One plot for each kind: time on the left, memory on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, (axis, points) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        values, times, memories = zip(*points, strict=True)
        memory_axes = axes.twinx()
        axes.plot(values, times, 'o-', color='C0')
        memory_axes.plot(values, memories, 's--', color='C1')
        for side, color, limit in ((axes, 'C0', times), (memory_axes, 'C1', memories)):
            side.set_ylim(0, 1.15 * max(limit))
            side.tick_params(axis='y', colors=color)
        axes.set_xlim(0, 1.05 * max(values))
        axes.set_xlabel(AXES[axis])
        axes.set_ylabel('processor time, ms', color='C0')
        memory_axes.set_ylabel('memory of a prediction, MiB', color='C1')
        axes.grid(alpha=0.3)
    figure.suptitle(f'UPSNet R50, fast copy in fp32, one thread; {machine_facts().get("CPU")}')
    figure.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--plot', type=Path, required=True, help='PNG file to write')
    parser.add_argument('--quick', action='store_true', help='only check that it works')
    arguments = parser.parse_args(argv)
    draw(measure(QUICK if arguments.quick else FULL), arguments.plot)


if __name__ == '__main__':
    main()
