"""A test goes on where a photo cannot be read, and its score says so.

A photo that is left out would raise the score of most metrics, which look at the images they are
given. A black image takes its place instead: the objects of the photo count as missed, and the
score can only be too low. mmengine has no other way either: in a test it refuses data that is None.
"""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.configuration import walk
from mmext.errors import InputError

FILE_NAME = 'unreadable_photos.txt'
METRIC = 'unreadable_photos'
_LOADERS = ('mmext.LoadImage', 'mmext.LoadImageFromFile')
_LISTED = 20


class StandInsHook(Hook):
    """Names the photos of a test that black images stood in for.

    Adds their number to the metrics as ``unreadable_photos``, if there are any. The workers of
    all processes write the names into one file, which stays beside the logs.

    Args:
        names: the file that :class:`mmext.pipelines.loading.LoadImage` adds to.

    Raises:
        InputError: no photo could be read.
    """

    priority = 'HIGHEST'  # before the host takes the metrics over

    def __init__(self, names: Path) -> None:
        self.names = names

    def before_test(self, runner: Runner) -> None:
        """Begin an empty list, before any worker starts."""
        if is_main_process():
            self.names.unlink(missing_ok=True)
        barrier()

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Count and name the photos."""
        if not self.names.exists():
            return
        # samplers hand out some images twice, to give all processes as many
        lines = list(dict.fromkeys(self.names.read_text('utf-8').splitlines()))
        count = len(runner.test_dataloader.dataset)
        if len(lines) == count:
            raise InputError(f'none of the {count} photos can be read; the first: {lines[0]}')
        if metrics is not None:
            metrics[METRIC] = float(len(lines))  # the host's log drops whole numbers
        more = [f'and {len(lines) - _LISTED} more in {self.names}'] if len(lines) > _LISTED else []
        runner.logger.warning(
            '\n  '.join(
                [
                    f'{len(lines)} of {count} photos could not be read and count as images in '
                    'which nothing was found; the score is too low by that:',
                    *lines[:_LISTED],
                    *more,
                ]
            )
        )


def use_stand_ins(config: Config) -> StandInsHook:
    """Let the loaders of the test go on; returns the hook that names what they could not read.

    The host's own ``LoadImageFromFile`` stays as it is: it stops.
    """
    names = Path(config.work_dir, FILE_NAME)
    parts: Any = walk(config.test_dataloader, 'test_dataloader')
    for _, part in parts:
        if part.get('type') in _LOADERS:
            part['stand_ins'] = str(names)
    return StandInsHook(names)
