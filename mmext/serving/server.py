"""The server of the page: standard library, one model, one picture at a time.

Three addresses: ``GET /`` is the page, ``GET /model`` says what the model is, ``POST
/predict?min_score=0.3`` takes the bytes of one picture and answers as
:mod:`mmext.serving.answers` says. Nothing else is read or written, no path of this machine
is ever taken from a request, and no part of a request is executed.

A page of another site cannot use it: ``Host`` must be an address of this server, and so must
``Origin`` where a browser sends one.
"""

import base64
import hashlib
import ipaddress
import json
import math
import re
import socket
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mmext.errors import InputError
from mmext.serving.answers import answer
from mmext.serving.pictures import Limits, RequestError, decoded

_PAGE = Path(__file__).with_name('page.html')
_CHUNK = 1 << 16
_DRAINED_S = 2.0
_SOCKET_S = 20.0
DEFAULT_MIN_SCORE = 0.3


class PageServer(ThreadingHTTPServer):
    """Listens; ``serve_forever`` answers.

    Args:
        model: as :func:`mmext.load` returns it.
        host: address to listen at; a loopback one is for this machine alone.
        port: 0 takes a free one.
        limits: of a request.

    Raises:
        InputError: the port is taken, or there is no such address.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, model: Any, host: str, port: int, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.turn = threading.Lock()  # of the model
        self.slots = threading.BoundedSemaphore(limits.connections)
        self.page = _PAGE.read_bytes()
        self.policy = _policy(self.page.decode('utf-8'))
        self.address_family = socket.AF_INET6 if ':' in host else socket.AF_INET
        try:
            super().__init__((host, port), PageHandler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f'cannot listen at {host}, port {port} ({error}): name another --port or --host'
            ) from error
        self.is_local = _is_loopback(host)

    @property
    def url(self) -> str:
        """What to open in a browser of this machine."""
        host, port = self.server_address[:2]
        shown = str(host) if self.is_local else '127.0.0.1'
        return f'http://[{shown}]:{port}/' if ':' in shown else f'http://{shown}:{port}/'

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, as long as there are not too many."""
        if not self.slots.acquire(blocking=False):
            request.close()
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is no fault."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()

    def predict(self, data: bytes, min_score: float) -> dict[str, Any]:
        """What the model finds in the bytes of a picture.

        Raises:
            RequestError: it is no picture, too large, or the model is busy for too long.
        """
        image = decoded(data, self.model.predictor.loader, self.limits)
        if not self.turn.acquire(timeout=self.limits.wait_s):
            raise RequestError(503, 'the model is busy with other pictures, try again')
        try:
            started = time.perf_counter()
            result = self.model(image)
            seconds = time.perf_counter() - started
        finally:
            self.turn.release()
        return dict(answer(result, min_score), seconds=round(seconds, 3))


class PageHandler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    server_version, sys_version = 'mmext', ''
    timeout = _SOCKET_S

    def do_GET(self) -> None:
        """The page, or what the model is."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """What the model finds in a picture."""
        self._answer(self._post)

    def _answer(self, content_of: Any) -> None:
        """Send what a function returns, or why not."""
        try:
            self._check_origin()
            kind, content = content_of(urlsplit(self.path))
            self._send(200, kind, content)
        except RequestError as refused:
            self._send_json(refused.status, dict(error=refused.reason))
            self._drain()
        except (ConnectionError, TimeoutError):
            raise
        except Exception:  # a fault of ours: the server goes on, its terminal has the traceback
            traceback.print_exc()
            self._send_json(
                500, dict(error='the prediction failed, see the terminal of the server')
            )

    def _get(self, address: Any) -> tuple[str, bytes]:
        if address.path == '/':
            return 'text/html; charset=utf-8', self.server.page
        if address.path == '/model':
            model, limits = self.server.model, self.server.limits
            about = dict(
                name=f'{model.predictor.kind} on {model.predictor.device}',
                classes=list(model.classes),
                megabytes=limits.megabytes,
                megapixels=limits.megapixels,
            )
            return 'application/json', json.dumps(about).encode()
        raise RequestError(404, 'there is only the page, /model and /predict')

    def _post(self, address: Any) -> tuple[str, bytes]:
        if address.path != '/predict':
            raise RequestError(404, 'pictures are sent to /predict')
        min_score = _score(parse_qs(address.query).get('min_score', [DEFAULT_MIN_SCORE])[-1])
        found = self.server.predict(self._body(), min_score)
        return 'application/json', json.dumps(found).encode()

    def _check_origin(self) -> None:
        """Refuse pages of other sites, and names that only point at this machine."""
        hosts = [self.headers.get('Host', '')]
        if (origin := self.headers.get('Origin')) is not None:
            hosts.append(urlsplit(origin).netloc if origin != 'null' else '')
        if len(set(hosts)) > 1:
            raise RequestError(403, 'a page of another site may not use this server')
        name = urlsplit(f'//{hosts[0]}').hostname or ''
        if self.server.is_local and not _is_loopback(name):
            raise RequestError(403, f'open it as {self.server.url}')

    def _body(self) -> bytes:
        """The bytes that were sent, within the limits of size and time."""
        length = self.headers.get('Content-Length', '')
        if self.headers.get('Transfer-Encoding') or not length.isdecimal():
            raise RequestError(411, 'Content-Length is missing')
        left = int(length)
        if left > self.server.limits.bytes:
            raise RequestError(413, f'the file is larger than {self.server.limits.megabytes:g} MB')
        deadline = time.monotonic() + self.server.limits.wait_s
        parts = []
        while left and (part := self.rfile.read1(min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
            if time.monotonic() > deadline:
                raise RequestError(408, 'the picture took too long to arrive')
        if left:
            raise RequestError(400, 'the picture was cut off on its way')
        return b''.join(parts)

    def _send_json(self, status: int, content: Any) -> None:
        self._send(status, 'application/json', json.dumps(content).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {
            'Content-Type': kind,
            'Content-Length': str(len(content)),
            'Content-Security-Policy': self.server.policy,
            'X-Content-Type-Options': 'nosniff',
            'Referrer-Policy': 'no-referrer',
            'Cache-Control': 'no-store',
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _drain(self) -> None:
        """Take what a browser still sends: it reads the answer after that."""
        self.wfile.flush()
        self.connection.settimeout(_DRAINED_S)
        left = 2 * self.server.limits.bytes
        deadline = time.monotonic() + _DRAINED_S
        try:
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and time.monotonic() < deadline and (part := self.rfile.read1(_CHUNK)):
                left -= len(part)
        except OSError:
            pass

    def log_message(self, format: str, *args: Any) -> None:
        """One short line a request; nothing of what was sent but the method and the path."""
        if not hasattr(self, 'path'):  # a browser opens connections in store that it never uses
            return
        path, status = urlsplit(self.path).path[:40], args[1] if len(args) > 1 else ''
        print(f'{time.strftime("%H:%M:%S")} {self.command} {path!r} {status}', file=sys.stderr)


def _policy(page: str) -> str:
    """What the page may do: its own script and style, pictures it has, requests to this server."""
    parts = ["default-src 'none'", "connect-src 'self'", 'img-src blob: data:']
    for tag in ('script', 'style'):
        (text,) = re.findall(rf'<{tag}>(.*?)</{tag}>', page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        parts.append(f"{tag}-src 'sha256-{digest}'")
    return '; '.join([*parts, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])


def _is_loopback(host: str) -> bool:
    if host.lower() == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _score(text: Any) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise RequestError(400, 'min_score: expected a number from 0 to 1')
    return score
