"""Real trainings: two gloo processes of which one sees no face, and half precision."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from face_training import last_losses, train


def test_two_ranks_agree_though_one_sees_no_face(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    script = Path(__file__).parent / 'face_training.py'
    addresses = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path), ''],
            env={**os.environ, **addresses, 'RANK': str(rank), 'LOCAL_RANK': str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=400)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], '\n'.join(outputs)
    weights = [re.findall('^WEIGHTS .*', output, re.MULTILINE) for output in outputs]
    assert weights[0] == weights[1] and len(weights[0]) == 1
    assert "'loss_bbox': 0.0" in outputs[1] and "'loss_bbox': 0.0" not in outputs[0]


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_half_precision_trains_to_nearly_the_same_losses(precision: str, tmp_path: Path) -> None:
    half = last_losses(train(tmp_path / precision, precision, 'none'))
    full = last_losses(train(tmp_path / 'fp32', 'fp32', 'none'))
    assert len(half) == 7 and half != full
    # pictures of noise look alike: the norm in the branch enlarges what rounding makes of them, to
    # .67 and .55 of bf16 in the two memory orders where fp32 has .77 in both
    attributes = [losses.pop('loss_attribute') for losses in (half, full)]
    assert attributes[0] == pytest.approx(attributes[1], rel=0.4)
    assert half == pytest.approx(full, rel=0.1)
