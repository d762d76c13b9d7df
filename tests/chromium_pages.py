"""Pages of ours in a real Chromium without a window, by its DevTools protocol over two pipes.

Nothing is installed for it but the browser: messages are JSON, each ended by a zero byte
(https://chromedevtools.github.io/devtools-protocol). Used through the fixture ``browser``.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROGRAMS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
_PATIENCE_S = 60.0
# the browser reads at descriptor 3 and writes at 4; neither may be overwritten before it is moved
_STARTER = 'import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); '
_STARTER += 'os.execvp(sys.argv[3], sys.argv[3:])'


def browser_program() -> str | None:
    """The browser of this machine, None where there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """A running browser.

    Args:
        program: its file.
        folder: for its profile; deleted by the caller.
    """

    def __init__(self, program: str, folder: Path) -> None:
        to_browser, own_end = _high(os.pipe())
        own_start, from_browser = _high(os.pipe())
        flags = ['--headless', '--remote-debugging-pipe', '--no-first-run', '--disable-gpu']
        flags += ['--disable-dev-shm-usage', '--hide-scrollbars', f'--user-data-dir={folder}']
        if os.geteuid() == 0:  # it refuses to run as root otherwise; it sees pages of ours alone
            flags.append('--no-sandbox')
        starter = [sys.executable, '-S', '-c', _STARTER, str(to_browser), str(from_browser)]
        self._process = subprocess.Popen(
            [*starter, program, *flags],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (to_browser, from_browser):
            os.close(end)
        self._write, self._read, self._buffer, self._number = own_end, own_start, b'', 0
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(_PATIENCE_S)
        os.close(self._write)
        os.close(self._read)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer; events that come meanwhile are kept."""
        self._number += 1
        message: dict[str, Any] = dict(id=self._number, method=method, params=parameters)
        if session is not None:
            message['sessionId'] = session
        os.write(self._write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._next()
            if answer.get('id') != self._number:
                self.events.append(answer)
                continue
            assert 'error' not in answer, (method, answer['error'])
            found: dict[str, Any] = answer['result']
            return found

    def page(self, width: int = 1200, height: int = 900) -> 'Page':
        """A new empty page of a size in px."""
        return Page(self, width, height)

    def read_report(self, file: Path) -> str:
        """Open a report of ours in a wide and in a narrow window; returns what a person can read.

        Every picture in it must be shown, and nothing be cut off, missing or fetched.
        """
        for width in (1300, 400):
            page = self.page(width)
            page.open(file.as_uri())
            text = page.text()
            assert page.run('[...document.images].every(i => i.complete && i.naturalWidth > 0)')
            assert page.run('document.images.length') > 0
            assert page.run('document.documentElement.scrollWidth') <= width
            assert not page.complaints()
            assert {address.partition(':')[0] for address in page.requests()} <= {'file', 'data'}
            page.close()
        return text

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_S
        while b'\0' not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], deadline - time.monotonic())
            part = os.read(self._read, 1 << 20) if ready else b''
            assert part, f'the browser says nothing (exit code {self._process.poll()})'
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b'\0')
        message: dict[str, Any] = json.loads(text)
        return message


class Page:
    """A page, and what went wrong on it."""

    def __init__(self, browser: Browser, width: int, height: int) -> None:
        self._browser = browser
        target = browser.ask('Target.createTarget', url='about:blank')['targetId']
        self._target = target
        self._session = browser.ask('Target.attachToTarget', targetId=target, flatten=True)[
            'sessionId'
        ]
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.ask(f'{domain}.enable')
        self.resize(width, height)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command for this page."""
        return self._browser.ask(method, self._session, **parameters)

    def resize(self, width: int, height: int, scheme: str = 'light') -> None:
        """Give the page a size in px, and a light or dark color scheme."""
        self.ask(
            'Emulation.setDeviceMetricsOverride',
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        wanted = [dict(name='prefers-color-scheme', value=scheme)]
        self.ask('Emulation.setEmulatedMedia', features=wanted)

    def open(self, address: str) -> None:
        """Load a page, to its end."""
        failed = self.ask('Page.navigate', url=address).get('errorText')
        assert not failed, (address, failed)
        self.wait('document.readyState === "complete"')

    def run(self, script: str) -> Any:
        """The value of an expression on the page; a promise is waited for."""
        answer = self.ask(
            'Runtime.evaluate', expression=script, awaitPromise=True, returnByValue=True
        )
        assert 'exceptionDetails' not in answer, (script, answer['exceptionDetails'])
        return answer['result'].get('value')

    def wait(self, script: str) -> Any:
        """Wait until an expression is true; returns its value."""
        deadline = time.monotonic() + _PATIENCE_S
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f'never true: {script}; {self.run(_TEXT)}'
            time.sleep(0.05)
        return value

    def text(self) -> str:
        """What a person can read."""
        return str(self.run(_TEXT))

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in an ``<input type=file>``, as a person does in its dialog."""
        root = self.ask('DOM.getDocument')['root']['nodeId']
        node = self.ask('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
        self.ask('DOM.setFileInputFiles', nodeId=node, files=[str(file) for file in files])

    def drop(self, file: Path, x: float = 300, y: float = 200) -> None:
        """Drag a file from the desktop over the page, and let it go."""
        data = dict(items=[], files=[str(file)], dragOperationsMask=1)
        for kind in ('dragEnter', 'dragOver', 'drop'):
            self.ask('Input.dispatchDragEvent', type=kind, x=x, y=y, data=data)

    def press(self, key: str, code: int) -> None:
        """Press a key, by its name and its number in Windows' table."""
        for kind in ('keyDown', 'keyUp'):
            self.ask(
                'Input.dispatchKeyEvent', type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def picture(self, whole: bool = True) -> bytes:
        """The page as PNG; ``whole``: also what lies below the window."""
        answer = self.ask('Page.captureScreenshot', format='png', captureBeyondViewport=whole)
        return base64.b64decode(answer['data'])

    def complaints(self) -> list[str]:
        """Errors of scripts, of the content policy and of loading, as the console has them."""
        self.run('1')  # what came before has arrived then
        found = []
        for event in self._of_page():
            details = event['params']
            if event['method'] == 'Runtime.exceptionThrown':
                found.append(str(details['exceptionDetails']))
            elif event['method'] == 'Log.entryAdded' and details['entry']['level'] == 'error':
                found.append(f'{details["entry"]["text"]} {details["entry"].get("url", "")}')
        return found

    def requests(self) -> list[str]:
        """Every address that was asked for."""
        return [
            event['params']['request']['url']
            for event in self._of_page()
            if event['method'] == 'Network.requestWillBeSent'
        ]

    def close(self) -> None:
        """Close the page."""
        self._browser.ask('Target.closeTarget', targetId=self._target)

    def _of_page(self) -> list[dict[str, Any]]:
        return [e for e in self._browser.events if e.get('sessionId') == self._session]


_TEXT = 'document.body ? document.body.innerText : ""'


def _high(ends: tuple[int, int]) -> tuple[int, int]:
    """The two ends of a pipe at numbers that are not 3 or 4."""
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
