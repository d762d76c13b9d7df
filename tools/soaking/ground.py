"""What all trials share: programs ready to start, a server, and an undisturbed training."""

import contextlib
import functools
import shutil
import time
from pathlib import Path
from types import TracebackType

from soaking.disturbed_trainings import training_arguments
from soaking.misfed_programs import Fodder
from soaking.mlflow_server import MlflowServer
from soaking.programs import Nursery
from soaking.subject import (
    NUM_ITERS,
    Subject,
    curves_of,
    runs_of,
    write_data,
    write_panoptic_config,
    write_points_config,
)

_LIMIT_S = 300.0
_ENVIRONMENT = {'OMP_NUM_THREADS': '1', 'MLFLOW_DISABLE_TELEMETRY': 'true'}


class Ground:
    """A context in which trials are made.

    Args:
        folder: for all files; emptied.

    Attributes:
        data: the data set.
        subject: what is trained.
        nursery: starts programs.
        server: where they log.
    """

    data: Path
    subject: Subject
    nursery: Nursery
    server: MlflowServer

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = contextlib.ExitStack()

    def __enter__(self) -> 'Ground':
        """Start everything, and train once."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in ('server', 'trials', 'undisturbed'):
            (self._folder / name).mkdir(parents=True)
        with self._open:
            self.nursery = Nursery(_ENVIRONMENT)
            self._open.callback(self.nursery.close)
            self.server = MlflowServer(self._folder / 'server')
            self._open.callback(self.server.kill)
            self.server.start()
            self.data = write_data(self._folder)
            self.subject = self._train_once()
            self._open = self._open.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything."""
        self._open.close()

    def new_folder(self, name: str) -> Path:
        """An empty folder for a trial."""
        folder = self._folder / 'trials' / name
        folder.mkdir()
        return folder

    @functools.cached_property
    def fodder(self) -> Fodder:
        """Whole files for programs that are to be misfed."""
        folder = self._folder / 'fodder'
        folder.mkdir()
        config = write_panoptic_config(self.data)
        work = folder / 'work'
        self._run(folder, 'train', config, '--work-dir', work)
        checkpoint = work / 'iter_2.pth'
        photos = self.data / 'val2017'
        out = folder / 'results'
        self._run(folder, 'infer', photos, '--checkpoint', checkpoint, '--out', out)
        return Fodder(self.data, config, checkpoint, out / 'predictions.panoptic.json')

    def _run(self, folder: Path, tool: str, *arguments: object) -> None:
        program = self.nursery.start(folder, tool, *arguments)
        program.end(_LIMIT_S)
        if program.code != 0:
            raise RuntimeError(f'{tool} fails undisturbed, see {program.log}')

    def _train_once(self) -> Subject:
        from mlflow import MlflowClient

        folder = self._folder / 'undisturbed'
        config = write_points_config(self.data)
        plain = Subject(config, folder / 'work', {}, 0.0)
        start = time.monotonic()
        self._run(folder, 'train', *training_arguments(plain, folder, self.server.uri))
        duration_s = time.monotonic() - start
        client = MlflowClient(tracking_uri=self.server.uri)
        (run,) = runs_of(client, folder.name)
        curves = curves_of(client, run.info.run_id)
        steps = [step for step, _ in curves['train/loss']]
        if steps != list(range(1, NUM_ITERS + 1)):
            raise RuntimeError(f'the undisturbed training has logged the steps {steps}')
        return Subject(config, folder / 'work', curves, duration_s)
