"""Training steps of UPSNet in float32, bf16 and fp16: speed, peak memory and loss.

Every precision starts from the same weights and sees the same images; steps take turns. The
gap is the mean over the steps of the relative distance of the loss to float32's; BatchNorm
that is frozen gets its statistics from an image first, in the place of pretrained weights.
Peak memory comes from a fresh process per precision: on a CPU the growth of the resident set
over the built model, on a GPU torch's peak. On a CPU without native fp16 that precision is many
times slower, so it is only run on the small model.
"""

import argparse
import copy
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData

from mmext.benchmark.inference import calibrate
from mmext.benchmark.rows import Row
from mmext.configuration import remove_pretrained
from mmext.hooks.mixed_precision.memory_order import use_channels_last
from mmext.hooks.mixed_precision.op_guards import OpGuards
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.host import import_mmdet
from mmext.inference.memory import resident_mib
from mmext.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
LAST = ' channels_last'
INSTANCES = 12
# ratio of speed and of memory that were set as a goal
AIMS = {
    ('UPSNet R50, 512x512', 'bf16'): (1.3, None),
    ('UPSNet R50, 800x1344', 'bf16'): (1.8, 1 / 0.65),
    ('UPSNet R50, 800x1344', 'fp16'): (1.8, 1 / 0.65),
}


class Case(NamedTuple):
    """A model, an image size and the precisions to compare; the first is the reference."""

    config: str
    size: tuple[int, int]
    precisions: tuple[str, ...]
    steps: int


class Result(NamedTuple):
    """One precision; the time is the median over the steps after the first two."""

    case: str
    precision: str
    step_ms: float
    memory_mib: float
    loss_gap: float


def cases(quick: bool) -> dict[str, Case]:
    """What is measured on this device."""
    small = ('fp32', 'bf16', 'bf16' + LAST, 'fp16')
    found = {'demo UPSNet, 128x160': Case('upsnet_demo.py', (128, 160), small, 3 if quick else 12)}
    if quick:
        return found
    full = '_base_/models/upsnet_r50.py'
    if torch.cuda.is_available():
        found['UPSNet R50, 800x1344'] = Case(full, (800, 1344), (*small, 'fp16' + LAST), 30)
    else:
        found['UPSNet R50, 512x512'] = Case(full, (512, 512), small[:-1], 7)
    return found


def run(quick: bool) -> list[Row]:
    """Measures and prints all, with the gap of the loss; without memory if quick."""
    _prepare()
    rows = []
    device = 'cuda' if torch.cuda.is_available() else f'cpu, {torch.get_num_threads()} threads'
    print(f'{device:24s}{"precision":22s}{"ms":>8s}{"speed":>8s}{"MiB":>8s}{"loss gap":>10s}')
    for name, case in cases(quick).items():
        results = _measure(name, case, quick)
        reference = results[0]
        for result in results:
            print(
                f'{name:24s}{result.precision:22s}{result.step_ms:8.0f}'
                f'{reference.step_ms / result.step_ms:7.2f}x'
                f'{result.memory_mib:8.0f}{result.loss_gap:10.5f}'
            )
        for result in results[1:]:
            rows += _rows(result, reference, quick)
    return rows


def _measure(name: str, case: Case, quick: bool) -> list[Result]:
    times, losses = _train(case)
    return [
        Result(
            name,
            precision,
            statistics.median(times[precision][2:]),
            float('nan') if quick else _peak_mib(name, precision),
            statistics.mean(
                abs(low - full) / full
                for low, full in zip(losses[precision], losses['fp32'], strict=True)
            ),
        )
        for precision in case.precisions
    ]


def _rows(result: Result, reference: Result, quick: bool) -> list[Row]:
    what = f'training step of {result.case} in {result.precision}'
    speed, memory = AIMS.get((result.case, result.precision), (None, None))
    rows = [Row(what, 'fp32', result.step_ms, reference.step_ms, 'ms', speed)]
    if not quick:
        mib = (result.memory_mib, reference.memory_mib)
        rows.append(Row(f'memory of a {what}', 'fp32', *mib, 'MiB', memory))
    return rows


def _prepare() -> None:
    import_mmdet()
    init_default_scope('mmdet')
    # the host logs how each weight was initialised
    MMLogger.get_instance('precision', log_level='WARNING')


class Training:
    """A model that can take steps in one precision."""

    def __init__(self, case: Case, precision: str) -> None:
        config = Config.fromfile(CONFIGS / case.config)
        remove_pretrained(config)
        torch.manual_seed(0)
        self.model = MODELS.build(config.model)
        self.model.init_weights()
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self.model.to(self.device)
        images = self.model.data_preprocessor(_batch(case, seed=0))['inputs']
        calibrate(self.model, lambda: self.model.extract_feat(images))
        self.model.train()
        if precision.endswith(LAST):
            use_channels_last(self.model)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.wrapper = PrecisionOptimWrapper(
            optimizer, precision=precision.removesuffix(LAST), loss_scale=1024.0
        )
        # float32 gets guards that never act, so that every side bears the cost of being guarded
        self.guards = OpGuards(self.model, self.device, self.wrapper.choice.dtype)
        self.wrapper.attach(self.model, self.guards)

    def step(self, batch: dict[str, Any], seed: int) -> tuple[float, float]:
        """Milliseconds and loss."""
        batch = copy.deepcopy(batch)
        torch.manual_seed(seed)  # of the RoI sampler
        with self.guards:
            started = time.perf_counter()
            loss = self.model.train_step(batch, self.wrapper)['loss'].item()
            if self.device == 'cuda':
                torch.cuda.synchronize()
            return 1e3 * (time.perf_counter() - started), loss


def _train(case: Case) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    trainings = {precision: Training(case, precision) for precision in case.precisions}
    times: dict[str, list[float]] = {precision: [] for precision in trainings}
    losses: dict[str, list[float]] = {precision: [] for precision in trainings}
    for step in range(case.steps):
        batch = _batch(case, seed=step % 4)
        for precision, training in trainings.items():
            milliseconds, loss = training.step(batch, seed=step)
            times[precision].append(milliseconds)
            losses[precision].append(loss)
    return times, losses


def _batch(case: Case, seed: int) -> dict[str, Any]:
    """An image of noise with rectangles of things on stripes of stuff."""
    things, classes = (5, 10) if 'demo' in case.config else (80, 133)
    (height, width), rng = case.size, np.random.default_rng(seed)
    seg_map = np.repeat(rng.integers(things, classes, height // 32 + 1), 32)[:height, None]
    seg_map = seg_map.repeat(width, axis=1).astype(np.uint8)
    masks = np.zeros((INSTANCES, height, width), np.uint8)
    boxes, labels = np.zeros((INSTANCES, 4), np.float32), rng.integers(0, things, INSTANCES)
    pixels = rng.integers(0, 256, (3, height, width), dtype=np.uint8)
    for i in range(INSTANCES):
        x, y = rng.integers(0, (width // 2, height // 2))
        w, h = rng.integers((width // 16, height // 16), (width // 2, height // 2))
        masks[:i, y : y + h, x : x + w] = 0
        masks[i, y : y + h, x : x + w] = 1
        seg_map[y : y + h, x : x + w] = labels[i]
        pixels[:, y : y + h, x : x + w] //= np.uint8(labels[i] + 2)
        boxes[i] = x, y, x + w, y + h
    sample = DetDataSample(metainfo=dict(img_shape=case.size, ori_shape=case.size, img_id=seed))
    sample.set_metainfo(dict(scale_factor=(1.0, 1.0)))
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes),
        labels=torch.from_numpy(labels),
        masks=BitmapMasks(masks, height, width),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(seg_map)[None])
    return {'inputs': [torch.from_numpy(pixels)], 'data_samples': [sample]}


def _peak_mib(name: str, precision: str) -> float:
    command = [sys.executable, __file__, '--peak-of', name, precision]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output.splitlines()[-1])


def _print_peak(name: str, precision: str) -> None:
    _prepare()
    case = cases(quick=False)[name]
    training = Training(case, precision)
    before = resident_mib('VmRSS')
    for step in range(2):
        training.step(_batch(case, step), step)
    if training.device == 'cuda':
        print(torch.cuda.max_memory_allocated() / 2**20)
    else:
        print(resident_mib('VmHWM') - before)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='only check that it works')
    parser.add_argument('--peak-of', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of:
        _print_peak(*arguments.peak_of)
    else:
        run(arguments.quick)


if __name__ == '__main__':
    main()
