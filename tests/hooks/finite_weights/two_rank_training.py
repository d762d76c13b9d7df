"""One of two gloo ranks: ``two_rank_training.py WORK_DIR``; the second has the bad values."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).parents[1] / 'mixed_precision'))
from precision_training import Net, make_runner

from mmext.hooks.finite_weights.hook import FiniteWeightsHook
from mmext.hooks.mixed_precision.overflow import DivergedError


def main() -> None:
    """On rank 1 alone the second step overflows, and after the fourth a weight is NaN."""
    torch.distributed.init_process_group('gloo')
    wrapper = {'type': 'MMDistributedDataParallel', 'device_ids': None}
    model = Net()
    model.burst = {1} if os.environ['RANK'] == '1' else set()
    sums: list[float] = []

    def note(runner: Any) -> None:
        sums.append(sum(p.double().sum().item() for p in model.parameters()))
        if runner.iter == 3 and os.environ['RANK'] == '1':
            model.head.bias.data.fill_(float('nan'))

    runner = make_runner(
        Path(sys.argv[1]), 4, hook=None, model=model, launcher='pytorch', each=note,
        cfg=Config({'model_wrapper_cfg': wrapper}),
        default_hooks={'checkpoint': {'type': 'CheckpointHook', 'interval': 1, 'by_epoch': True}},
        train_cfg={'by_epoch': True, 'max_epochs': 1, 'val_interval': 1000},
    )  # fmt: skip
    runner.register_hook(FiniteWeightsHook())
    try:
        runner.train()
    except DivergedError as error:
        skipped = runner.optim_wrapper.overflow.skipped
        print(f'RESULT {skipped} {sums[:3]}')
        print(f'ENDED {error}')
    os._exit(0)


if __name__ == '__main__':
    main()
