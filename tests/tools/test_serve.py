"""mmext serve: a real process, from its first line to Ctrl-C."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mmext.errors import run_tool

TOOL = Path(__file__).parents[2] / 'tools/serve.py'


def test_a_page_of_a_checkpoint(trained: Path, data: Path) -> None:
    command = [sys.executable, str(TOOL), str(trained), '--port', '0', '--device', 'cpu']
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, 'PYTHONUNBUFFERED': '1'},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, '')
        matches = (re.search(r'http://([\d.]+):(\d+)/', line) for line in lines)
        address = next(filter(None, matches), None)
        assert address is not None, process.communicate(timeout=400)
        connection = http.client.HTTPConnection(address[1], int(address[2]), timeout=400)
        photo = next((data / 'images').glob('*.png')).read_bytes()
        connection.request('POST', '/predict?min_score=0', photo)
        found = json.loads(connection.getresponse().read())
        assert found['size'] == [64, 64] and found['objects']
    finally:
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=400)
    assert process.returncode == 0 and 'ended' in printed
    assert "POST '/predict' 200" in errors and 'Traceback' not in errors


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['/nowhere.pth'], 'checkpoint not found: /nowhere.pth'),
        (['x.pth', '--port', '70000'], '--port: expected 0 to 65535'),
        (['x.pth', '--max-megabytes', 'nan'], '--max-megabytes: expected more than 0'),
    ],
)
def test_one_line(
    arguments: list[str],
    message: str,
    tool: Callable[[str], ModuleType],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_tool(tool('serve').main, arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
