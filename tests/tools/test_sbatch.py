"""docs/cluster/train.sbatch: trains, goes back into the queue on its signal, and goes on later.

SLURM is not at hand: ``srun`` and ``scontrol`` are stand-ins that do what those of a job of one
process would; the shell script, the training and its resumption are real.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'docs/cluster/train.sbatch'
STAND_INS = {
    # as srun does: its options away, the variables of a task set
    'srun': '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\n'
    'export SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_LOCALID=0\nexec "$@"\n',
    'scontrol': '#!/bin/bash\n'
    'if [ "$1" = show ]; then echo 127.0.0.1; else echo "$@" >> queue.txt; fi\n',
    'mmext': f'#!/bin/bash\nexec {sys.executable} -m mmext "$@"\n',
}


@pytest.fixture
def job(tmp_path: Path, config_file: Path) -> Callable[[int], 'subprocess.Popen[str]']:
    """Starts the script for a training of so many epochs."""
    (tmp_path / 'bin').mkdir()
    for name, text in STAND_INS.items():
        (tmp_path / 'bin' / name).write_text(text)
        (tmp_path / 'bin' / name).chmod(0o755)
    root = str(SCRIPT.parents[2])
    environment = {
        **os.environ,
        'PATH': f'{tmp_path / "bin"}:{os.environ["PATH"]}',
        'PYTHONPATH': os.pathsep.join(filter(None, [root, os.environ.get('PYTHONPATH')])),
        'SLURM_JOB_NODELIST': 'here',
        'SLURM_JOB_ID': str(os.getpid()),
    }

    def start(epochs: int) -> 'subprocess.Popen[str]':
        options = ['--no-pretrained', '--work-dir', 'work', '--mlflow', 'off', '--cfg-options']
        options += [f'train_cfg.max_epochs={epochs}', 'default_hooks.checkpoint.interval=1']
        return subprocess.Popen(
            ['bash', str(SCRIPT), str(config_file), *options], cwd=tmp_path, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    return start


@pytest.mark.timeout(1800)  # four starts of Python, waited for one by one
def test_it_is_requeued_and_goes_on(
    job: Callable[[int], 'subprocess.Popen[str]'], tmp_path: Path
) -> None:
    last = tmp_path / 'work/last_checkpoint'
    first = job(100_000)
    try:
        while not last.is_file():
            assert first.poll() is None, first.communicate()[0]
            time.sleep(0.1)
        first.send_signal(signal.SIGUSR1)  # to the shell alone, as SLURM's B: says
        printed, _ = first.communicate()
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    assert first.returncode == 0, printed
    assert 'goes back into the queue' in printed
    assert (tmp_path / 'queue.txt').read_text().split() == ['requeue', str(os.getpid())]
    # not the newest file: the signal may have come before that one was written down
    done = int(Path(last.read_text()).stem.removeprefix('epoch_'))
    second = job(done + 1)
    printed, _ = second.communicate()
    assert second.returncode == 0, printed
    assert f'resumed epoch: {done}' in printed
    assert (tmp_path / f'work/epoch_{done + 1}.pth').is_file()


def test_without_a_config_it_says_how() -> None:
    done = subprocess.run(['bash', str(SCRIPT)], capture_output=True, text=True)
    assert done.returncode != 0 and 'usage: sbatch train.sbatch CONFIG' in done.stderr
