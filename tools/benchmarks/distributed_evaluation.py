"""Evaluation by two processes (gloo, one thread each) against one: same numbers, less time.

The demo's UPSNet with random weights and thresholds that let predictions through, on generated
pictures; PQ, AP and mIoU. Timed is the test loop with its metrics, from the first picture to the
merged result, in fresh processes that take turns; start and imports are left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import in_turn
from mmext.demo.panoptic import write_panoptic_dataset

CONFIG = Path(__file__).parents[2] / 'configs' / 'upsnet_demo.py'
SEED = 0


def run(quick: bool) -> list[Row]:
    """Measures both ways and checks that they agree.

    Raises:
        AssertionError: if the metrics differ.
    """
    pictures, rounds = (8, 1) if quick else (80, 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_panoptic_dataset(folder / 'data', num_train=1, num_val=pictures)
        found = in_turn(
            {count: lambda count=count: _evaluate(folder, count) for count in (1, 2)},  # type: ignore[misc]
            rounds,
            warmup=0,
        )
    one, two = found[1], found[2]
    for result in one + two:
        np.testing.assert_equal(result['metrics'], one[0]['metrics'])  # nan equals nan
    print(f'the same in {2 * rounds} evaluations: {one[0]["metrics"]}')
    alone, together = (statistics.median(r['seconds'] for r in results) for results in (one, two))
    what = f'UPSNet evaluated on {pictures} pictures of 128x128 by two processes'
    return [Row(what, 'one process', together, alone, 's', aim=1.0)]


def _evaluate(folder: Path, processes: int) -> dict[str, Any]:
    out = folder / f'{processes}.json'
    command = [sys.executable, '-W', 'ignore']
    if processes > 1:
        command += ['-m', 'torch.distributed.run', '--standalone']
        command += [f'--nproc-per-node={processes}']
    command += [__file__, '--evaluate', str(folder), str(out)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f'evaluation by {processes} processes failed:\n{done.stderr[-3000:]}')
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def _evaluate_here(folder: Path, out: Path) -> None:
    """One of the processes, or the only one."""
    import torch

    from mmext.cli.launch import launched
    from mmext.configuration import load_config, set_mlflow
    from mmext.host import import_mmdet

    torch.set_num_threads(1)
    config = load_config(
        str(CONFIG),
        {
            'data_root': f'{folder}/data/',
            'work_dir': f'{folder}/work',
            'log_level': 'ERROR',
            'randomness.seed': SEED,  # of the weights
            'test_dataloader.num_workers': 0,
            # convolutions round differently in another batch: near ties of random weights flip
            'test_dataloader.batch_size': 1,
            'model.test_cfg.panoptic.score_thr': 0.1,
            'model.test_cfg.panoptic.stuff_area_limit': 0,
        },
    )
    set_mlflow(config, 'off')
    config.launcher = 'pytorch' if 'RANK' in os.environ else 'none'
    import_mmdet()
    with launched(config):
        result = _test(config)
    if os.environ.get('RANK', '0') == '0':
        out.write_text(json.dumps(result))


def _test(config: Config) -> dict[str, Any]:
    from mmengine.runner import Runner

    runner = Runner.from_cfg(config)
    loop = runner.build_test_loop(runner._test_loop)  # builds the data sets
    runner._test_loop = loop
    started = time.perf_counter()
    metrics = runner.test()
    seconds = time.perf_counter() - started
    metrics = {name: float(value) for name, value in metrics.items()}
    return {'seconds': seconds, 'metrics': metrics}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='only check that it works')
    parser.add_argument('--evaluate', nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.evaluate:
        _evaluate_here(*arguments.evaluate)
    else:
        print(run(arguments.quick))


if __name__ == '__main__':
    main()
