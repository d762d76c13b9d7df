"""What a person at a terminal reads of a run; the log file has all of it."""

import logging
import shlex
from typing import Any

from mmengine.dist import is_main_process
from mmengine.runner import Runner

_FOR_THE_FILE = (  # beginnings of messages: pages of text, and what nobody can act on
    '\n------------------------------------------------------------\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    'Exp name: ',
    'Distributed training is not used, all SyncBatchNorm (SyncBN) layers',
    'Loads checkpoint by local backend from path: ',
    '"FileClient" will be deprecated in future.',
    '"HardDiskBackend" is the alias of "LocalBackend"',
)


class TerminalRunner(Runner):
    """mmengine's runner; pages of environment, config and hooks go to the log file alone."""

    def build_logger(self, *arguments: Any, **keywords: Any) -> Any:
        """The logger of the run, whose terminal gets what a person reads."""
        logger = super().build_logger(*arguments, **keywords)
        if logger.log_file is None:
            return logger
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.addFilter(is_for_people)
        if is_main_process():
            print(f'log, with environment, config and hooks: {logger.log_file}', flush=True)
        return logger


def is_for_people(record: logging.LogRecord) -> bool:
    """Whether a message is worth a terminal."""
    return not str(record.msg).startswith(_FOR_THE_FILE)


def say_end(runner: Runner) -> None:
    """Print where the results of a training are and how to look at them."""
    if not is_main_process():
        return
    print(f'trained; checkpoints are in {runner.work_dir}')
    print(f'  drop pictures on it:  {shlex.join(["mmext", "serve", str(runner.work_dir)])}')
    for hook in runner.hooks:
        if place := getattr(hook, 'whereabouts', None):  # of MLflowHook
            print(f'  the run in MLflow:    {place}')
