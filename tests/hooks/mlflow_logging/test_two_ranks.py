"""Two real gloo processes: one run, and only rank 0 loads MLflow."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def test_only_rank_zero_logs(work_dir: Path, logged: Any) -> None:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    script = Path(__file__).parent / 'tiny_training.py'
    ranks = []
    for rank in range(2):
        environment = {
            **os.environ,
            'RANK': str(rank),
            'LOCAL_RANK': str(rank),
            'WORLD_SIZE': '2',
            'MASTER_ADDR': '127.0.0.1',
            'MASTER_PORT': str(port),
        }
        ranks.append(
            subprocess.Popen(
                [sys.executable, str(script), str(work_dir)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        outputs = [process.communicate(timeout=400)[0] for process in ranks]
    finally:
        for process in ranks:  # one that hangs would outlive the test
            process.kill()

    assert [process.returncode for process in ranks] == [0, 0], '\n'.join(outputs)
    assert "RANK 0 loaded ['mlflow']" in outputs[0]
    assert 'RANK 1 loaded []' in outputs[1]
    assert logged.only_run().info.status == 'FINISHED'
    assert logged.steps('train/loss') == list(range(1, 7))  # 10 samples, 2 ranks of 2
