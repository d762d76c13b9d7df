"""A proxy in front of a server that answers in its place, hangs, or lets requests through."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What the proxy says itself, after a while."""

    status: int
    body: str = ''
    after_s: float = 0.0


Fault = Callable[[str, str], Answer | None]  # of method and path; None lets it through


class FaultProxy:
    """Forwards to a server, except what its fault answers.

    Attributes:
        uri: of the proxy.
        fault: the present one.
        asked: method and path of every request so far.
    """

    def __init__(self, upstream: str) -> None:
        self.fault: Fault = lambda method, path: None
        self.asked: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                proxy.asked.append(f'{self.command} {self.path}')
                fault = proxy.fault(self.command, self.path)
                if fault is not None:
                    time.sleep(fault.after_s)
                    self.reply(fault.status, fault.body.encode(), 'text/html')
                    return
                try:
                    status, content, kind = self.forward(body)
                except (OSError, http.client.HTTPException):  # no server: no answer
                    self.close_connection = True
                    return
                self.reply(status, content, kind)

            def forward(self, body: bytes) -> tuple[int, bytes, str]:
                connection = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=60)
                headers = {k: v for k, v in self.headers.items() if k != 'Connection'}
                with contextlib.closing(connection):
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    return answer.status, answer.read(), answer.headers.get('Content-Type', '')

            def reply(self, status: int, body: bytes, kind: str) -> None:
                try:
                    self.send_response(status)
                    self.send_header('Content-Type', kind)
                    self.send_header('Content-Length', str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # nobody listens any more
                    return

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        self.uri = f'http://127.0.0.1:{self._server.server_address[1]}'
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening; requests that hang are left alone."""
        self._server.shutdown()
        self._server.socket.close()
