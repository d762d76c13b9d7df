"""Heads of landmarks side by side: one backbone, the same crops of generated faces, steps and rate.

python -m mmext.demo faces --out data/demo_faces
python tests/landmarks/compare_heads.py --seed 0 --out heads.json    # once for each seed
python tests/landmarks/compare_heads.py --cost --out heads.json      # times and memory
python tests/landmarks/compare_heads.py --table --out heads.json

All heads take a step on a batch before the next one is loaded. ``CloseUp``, the second look of
RetinaFace, learns beside them from the same faces, in crops of its own.
"""

import argparse
import copy
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmext.benchmark.timing import milliseconds_in_turn
from mmext.configuration import load_config, rebase_data_root
from mmext.host import import_mmdet
from mmext.inference.memory import forget_peak, resident_mib
from mmext.registry import DATASETS, METRICS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
HEADS = {
    'heat-map': 'landmarks_demo.py',
    'DSNT': 'landmarks/faces_dsnt_demo.py',
    'SimCC': 'landmarks/faces_simcc_demo.py',
    'regression, L1': 'landmarks/faces_regression_demo.py',
    'regression, RLE': 'landmarks/faces_rle_demo.py',
}
SECOND_LOOK = "RetinaFace's `CloseUp`"
BATCH, WARMUP, MAX_NORM = 32, 30, 10.0
VALUES = ('NME', 'NME_q50', 'failure_rate')


class SecondLook(nn.Module):
    """``CloseUp`` alone, around boxes that are given."""

    def __init__(self) -> None:
        super().__init__()
        config = load_config(str(CONFIGS / 'retinaface_demo.py')).model
        self.data_preprocessor = MODELS.build(config.data_preprocessor)
        self.close_up = MODELS.build(dict(config.close_up, mesh=None))

    def loss(self, inputs: Tensor, samples: list) -> dict[str, Tensor]:
        """Of the faces of whole images ``[N, 3, H, W]``."""
        faces = [sample.gt_instances for sample in samples]
        for instances in faces:
            instances.bboxes = getattr(instances.bboxes, 'tensor', instances.bboxes)
        losses: dict[str, Tensor] = self.close_up.loss(inputs, faces)
        return losses

    def predict(self, inputs: Tensor, samples: list) -> list:
        """The samples, with points in ``pred_instances``."""
        found = []
        for sample in samples:
            boxes = sample.gt_instances.bboxes
            boxes = getattr(boxes, 'tensor', boxes).float()
            ones = boxes.new_ones(len(boxes))
            found.append(InstanceData(bboxes=boxes, scores=ones, labels=ones.long()))
        self.close_up.refine(inputs, found)
        for sample, instances in zip(samples, found, strict=True):
            sample.pred_instances = instances
        return samples


def build(name: str, data: str) -> tuple[Any, Any]:
    """The model of a line of the table, and the config of its data."""
    config = load_config(str(CONFIGS / HEADS.get(name, 'landmarks_demo.py')))
    rebase_data_root(config, data)
    init_default_scope('mmdet')
    return (SecondLook() if name == SECOND_LOOK else MODELS.build(config.model)), config


def batches(config: Any, seed: int, steps: int) -> Iterator[tuple[dict, dict]]:
    """The crops of ``BATCH`` faces, and the whole images with one face each."""
    pipeline = list(config.train_dataloader.dataset.pipeline)
    number = next(i for i, part in enumerate(pipeline) if part.type == 'mmext.CropInstance')
    from_image, to_crop = Compose(pipeline[:number]), Compose(pipeline[number:])
    pack = Compose(pipeline[number + 1 :])
    dataset = DATASETS.build(config.train_dataloader.dataset)
    np.random.seed(seed)
    order = torch.Generator().manual_seed(seed)
    chosen: list[int] = []
    for _ in range(steps):
        while len(chosen) < BATCH:
            chosen += torch.randperm(len(dataset), generator=order).tolist()
        images = [from_image(dataset.get_data_info(index)) for index in chosen[:BATCH]]
        del chosen[:BATCH]
        crops = [to_crop(copy.deepcopy(image)) for image in images]
        yield _collated(crops), _collated([pack(image) for image in images])


def _collated(packed: list[dict]) -> dict[str, list]:
    return {key: [sample[key] for sample in packed] for key in ('inputs', 'data_samples')}


def train(args: argparse.Namespace) -> dict[str, Any]:
    """The errors on held-out faces and the CPU seconds of a step, by head."""
    data, seed, steps, rate = args.data, args.seed, args.steps, args.rate
    lines: dict[str, Any] = {}
    for name in (*HEADS, SECOND_LOOK):
        torch.manual_seed(seed)
        model, config = build(name, data)
        model.init_weights() if hasattr(model, 'init_weights') else None
        optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-4, fused=True)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - WARMUP, 1e-5)
        warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=WARMUP)
        schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [WARMUP])
        lines[name] = dict(
            model=model.train(), optimizer=optimizer, schedule=schedule, times=[], low=args.bf16
        )
    torch.manual_seed(seed)
    for number, (crops, images) in enumerate(batches(config, seed, steps)):
        for name, line in lines.items():
            started = time.process_time()
            loss = _step(line, images if name == SECOND_LOOK else crops)
            line['times'].append(time.process_time() - started)
            if number % 50 == 0:
                print(f'{number:4d} {name}: {loss:.4f}', flush=True)
    found = {}
    for name, line in lines.items():
        values = evaluate(line['model'].eval(), config)
        print(f'{name}: {values}', flush=True)
        found[name] = values | dict(seconds=statistics.median(line['times']))
        if args.weights is not None:
            args.weights.mkdir(parents=True, exist_ok=True)
            state = dict(state_dict=line['model'].state_dict())
            torch.save(state, args.weights / f'{name} {seed}.pth'.replace(' ', '_'))
    return found


def _step(line: dict[str, Any], batch: dict[str, list]) -> float:
    model = line['model']
    data = model.data_preprocessor(copy.deepcopy(batch), True)
    with torch.autocast('cpu', torch.bfloat16, enabled=line['low']):
        losses = model.loss(data['inputs'], data['data_samples'])
    total = sum(value for key, value in losses.items() if key.startswith('loss_'))
    line['optimizer'].zero_grad()
    total.backward()
    nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
    line['optimizer'].step()
    line['schedule'].step()
    return float(total.detach())


@torch.no_grad()
def evaluate(model: Any, config: Any) -> dict[str, float]:
    """Errors in percent of the box, over the held-out faces."""
    dataset = DATASETS.build(config.val_dataloader.dataset)
    metric = METRICS.build(dict(config.val_evaluator))
    metric.dataset_meta = dataset.metainfo
    for first in range(0, len(dataset), 8):
        packed = [dataset[index] for index in range(first, min(first + 8, len(dataset)))]
        data = model.data_preprocessor(_collated(packed), False)
        samples = model.predict(data['inputs'], data['data_samples'])
        metric.process(None, [sample.to_dict() for sample in samples])
    values = metric.evaluate(len(dataset))
    return {key: values[f'landmarks/{key}'] for key in VALUES}


def cost(data: str) -> dict[str, Any]:
    """Milliseconds from boxes to points of one and of 32 faces, parameters, memory of a step."""
    torch.manual_seed(0)
    _, config = build('heat-map', data)
    crops, images = next(batches(config, 0, 1))
    models, found, calls = {}, {}, {}
    for name in (*HEADS, SECOND_LOOK):
        batch = images if name == SECOND_LOOK else crops
        found[name] = dict(mib=_in_a_process_of_its_own(step_memory, name, data, batch))
    for name in found:
        model = models[name] = build(name, data)[0].eval()
        if name != SECOND_LOOK:
            model.test_cfg['flip'] = False
        found[name]['parameters'] = sum(p.numel() for p in model.parameters())
        inputs = model.data_preprocessor(copy.deepcopy(images), False)
        for count in (1, BATCH):
            part = inputs['inputs'][:count], inputs['data_samples'][:count]
            calls[name, count] = lambda model=model, part=part: model.predict(*part)
    with torch.no_grad():
        times = milliseconds_in_turn(calls, 15, 2)
    for (name, count), values in times.items():
        found[name][f'ms_{count}'] = statistics.median(values)
    return found


def _in_a_process_of_its_own(function: Any, *arguments: Any) -> Any:
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(function(*arguments)))
    process.start()
    process.join()
    return receiver.recv()


def step_memory(name: str, data: str, batch: dict[str, list]) -> float:
    """Growth of this process by three steps, MiB: weights, optimizer and activations."""
    forget_peak()
    before = resident_mib('VmRSS')
    model, _ = build(name, data)
    optimizer = torch.optim.AdamW(model.train().parameters(), 1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    for _ in range(3):
        _step(dict(model=model, optimizer=optimizer, schedule=schedule, low=False), batch)
    return resident_mib('VmHWM') - before


def table(results: dict[str, Any]) -> str:
    """The lines of the room's README."""
    runs, costs = [run for key, run in results.items() if key != 'cost'], results['cost']
    lines = [
        '| head | NME | median | over 10 % | s a step | ms, 1 face | ms, 32 faces | parameters '
        '| MiB of a step |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for name, own in costs.items():
        errors = [f'{_spread([run[name][key] for run in runs])}' for key in VALUES]
        seconds = statistics.median(run[name]['seconds'] for run in runs)
        numbers = [f'{seconds:.2f}', f'{own["ms_1"]:.1f}', f'{own[f"ms_{BATCH}"]:.0f}']
        numbers += [f'{own["parameters"] / 1e3:.0f} k', f'{own["mib"]:.0f}']
        lines.append('| ' + ' | '.join([name, *errors, *numbers]) + ' |')
    return '\n'.join(lines)


def _spread(values: list[float]) -> str:
    middle, half = statistics.mean(values), (max(values) - min(values)) / 2
    return f'{middle:.1f} ± {half:.1f}'


def main() -> None:
    """Train the heads with one seed, measure what they cost, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', default='data/demo_faces')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--seed', type=int)
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument('--rate', type=float, default=2e-3)
    parser.add_argument('--bf16', action='store_true', help='train under autocast')
    parser.add_argument('--weights', type=Path, metavar='DIR', help='for what was trained')
    parser.add_argument('--cost', action='store_true')
    parser.add_argument('--table', action='store_true')
    args = parser.parse_args()
    import_mmdet()
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    if args.seed is not None:
        results[f'seed {args.seed}'] = train(args)
    if args.cost:
        results['cost'] = cost(args.data)
    args.out.write_text(json.dumps(results))
    if args.table:
        print(table(results))


if __name__ == '__main__':
    main()
