"""Runs a component benchmark: a file with a function ``run(quick)`` that returns rows."""

import importlib.util
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path

from mmext.benchmark.machine import machine_facts
from mmext.benchmark.publication import Measured
from mmext.benchmark.rows import Row


def measure_file(path: Path, quick: bool) -> Measured:
    """Run the benchmark in ``path``, at small sizes if ``quick``.

    Raises:
        Exception: whatever it raises, ``AssertionError`` where both sides differ.
    """
    run = load_run(path)
    if 'mmengine' in sys.modules:
        from mmengine.logging import MMLogger

        # the host logs every weight that it initialises
        MMLogger.get_instance(f'benchmark {path.stem}', log_level='ERROR')
    started = datetime.now().astimezone().isoformat(timespec='seconds')
    return Measured(started, machine_facts(), run(quick))


def measure_file_in_new_process(path: Path, quick: bool) -> Measured:
    """The same where nothing is left of others: threads, caches, memory, and crashes.

    Raises:
        Exception: whatever it raises; ``BrokenProcessPool`` if it ends without a result.
    """
    spawn = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(measure_file, path, quick).result()


def load_run(path: Path) -> Callable[[bool], list[Row]]:
    """Return the function ``run(quick)`` of a benchmark's file.

    The file is loaded by its path: ``benchmarks/mlflow.py`` must not hide the package mlflow.
    """
    spec = importlib.util.spec_from_file_location(f'benchmark_{path.stem}', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up
    spec.loader.exec_module(module)
    run: Callable[[bool], list[Row]] = module.run
    return run
