"""Watches over the data workers of a run."""

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmext.hooks.data_workers.worker import WorkerStart
from mmext.process_deaths import SHARED_MEMORY_ADVICE
from mmext.registry import HOOKS

SHARED_MEMORY = '/dev/shm'

_SIZES = ('scale', 'scales', 'img_scale', 'size', 'crop_size')  # of transforms, pairs in pixels
_USUAL_SIZE = (1333, 800)
_CHANNELS = 3
_PREFETCH = 2  # torch's default


@HOOKS.register_module()
class DataWorkersHook(Hook):
    """Lets no run wait for a data worker for ever, and no worker outlive its run.

    - A worker that cannot hand over a batch ends, with an exit code that says why
      (:mod:`.worker`), and so does the run, with one line (:mod:`mmext.process_deaths`).
    - Linux kills the workers of a process that was killed.
    - A shared memory that is smaller than what the workers are likely to need is warned about
      before the first batch.

    It goes around the ``worker_init_fn`` of the config.
    """

    priority = 'HIGHEST'  # before anything loads a batch

    def before_run(self, runner: Runner) -> None:
        """Prepare the loaders of this run."""
        loops = (runner._train_loop, runner._val_loop, runner._test_loop)
        loaders = [loop.dataloader for loop in loops if isinstance(loop, BaseLoop)]
        for loader in loaders:
            if not isinstance(loader.worker_init_fn, WorkerStart):
                loader.worker_init_fn = WorkerStart(loader.worker_init_fn)
        ranks = int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
        needed = ranks * max((likely_shared_bytes(loader) for loader in loaders), default=0)
        if needed and os.path.isdir(SHARED_MEMORY):
            free = shutil.disk_usage(SHARED_MEMORY).free
            if free < needed:
                runner.logger.warning(
                    f'{SHARED_MEMORY} has {_megabytes(free)} free, the data workers are likely to '
                    f'need {_megabytes(needed)}: if the training stops for it, '
                    f'{SHARED_MEMORY_ADVICE}'
                )


def likely_shared_bytes(loader: Any) -> int:
    """Bytes of the images that the workers of a loader hold ready, from the sizes in its pipeline.

    Each worker has its prefetched batches and the one it works on. Without workers it is 0.
    """
    if not loader.num_workers:
        return 0
    sizes = [pair for part in _parts(loader.dataset) for pair in _sizes(part)] or [_USUAL_SIZE]
    pixels = max(width * height for width, height in sizes)
    batch_size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)
    batches = loader.num_workers * ((loader.prefetch_factor or _PREFETCH) + 1)
    return int(batches * batch_size * pixels * _CHANNELS)


def _parts(dataset: Any) -> Iterator[Any]:
    """A data set and those inside it (ConcatDataset, RepeatDataset, ...)."""
    yield dataset
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in inner:
        if part is not None:
            yield from _parts(part)


def _sizes(dataset: Any) -> Iterator[tuple[int, int]]:
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        for name in _SIZES:
            yield from _pairs(getattr(transform, name, None))


def _pairs(value: Any) -> Iterator[tuple[int, int]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return
    if len(value) == 2 and all(isinstance(side, int) and side > 1 for side in value):
        yield value[0], value[1]
    else:
        for item in value:
            yield from _pairs(item)


def _megabytes(size: int) -> str:
    return f'{size / 2**20:,.1f} MB'
