"""Two real gloo processes: what overflows on one rank is skipped by both."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path


def test_ranks_agree(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    script = Path(__file__).parent / 'precision_training.py'
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path), 'fp16'],
            env={
                **os.environ,
                'RANK': str(rank),
                'LOCAL_RANK': str(rank),
                'WORLD_SIZE': '2',
                'MASTER_ADDR': '127.0.0.1',
                'MASTER_PORT': str(port),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=400)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], '\n'.join(outputs)
    results = [re.findall('^RESULT .*', output, re.MULTILINE) for output in outputs]
    assert results[0] == results[1] and len(results[0]) == 1
    # one overflow, on the second iteration of rank 1
    assert 'RESULT 1 [8.0, 4.0, 4.0, 4.0] ' in results[0][0]
    assert results[0][0].endswith('torch.float16')
