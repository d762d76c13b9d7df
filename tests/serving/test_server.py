"""The page: a picture in, what the model sees out; and what it refuses."""

import base64
import dataclasses
import hashlib
import http.client
import io
import json
import re
import socket
import struct
import threading
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mmext
from mmext.errors import InputError
from mmext.serving.pictures import Limits
from mmext.serving.server import PageHandler, PageServer

Reply = tuple[int, dict[str, str], bytes]


def photo(form: str = 'png', size_wh: tuple[int, int] = (128, 96), **options: Any) -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def ask(
    server: PageServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> Reply:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=60)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, dict(reply.getheaders()), content


def refusal(server: PageServer, body: bytes, path: str = '/predict', **headers: str) -> tuple:
    status, _, content = ask(server, 'POST', path, body, **headers)
    return status, json.loads(content)['error']


def test_a_picture_is_answered_as_the_model_does(server: PageServer, model: mmext.Model) -> None:
    data = photo()
    status, headers, content = ask(server, 'POST', '/predict?min_score=0.02', data)
    assert status == 200 and headers['Content-Type'] == 'application/json'
    found = json.loads(content)
    wanted = model(Image.open(io.BytesIO(data))).above(0.02)
    assert found['size'] == [128, 96] and len(found['objects']) == len(wanted) > 0
    scores = [thing['score'] for thing in found['objects']]
    assert scores == sorted(scores, reverse=True)
    best = found['objects'][0]
    index = int(np.argmax(wanted.scores))
    assert best['name'] in model.classes
    assert best['score'] == pytest.approx(float(wanted.scores[index]), abs=1e-3)
    assert [s['name'] for s in found['segments']] == [s['name'] for s in wanted.segments]
    picture = found['picture'].removeprefix('data:image/jpeg;base64,')
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == wanted.plot().size


def test_a_higher_score_shows_fewer_objects(server: PageServer) -> None:
    counts = [
        len(json.loads(ask(server, 'POST', f'/predict?min_score={score}', photo())[2])['objects'])
        for score in (0.0, 1.0)
    ]
    assert counts[0] > counts[1] == 0


def test_a_turned_photo_is_seen_as_people_see_it(server: PageServer) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _, _, content = ask(server, 'POST', '/predict', photo('jpeg', exif=exif))
    assert json.loads(content)['size'] == [96, 128]


def test_the_page_brings_all_it_needs(server: PageServer) -> None:
    status, headers, content = ask(server, 'GET', '/')
    page, policy = content.decode(), headers['Content-Security-Policy']
    assert status == 200 and "default-src 'none'" in policy
    assert not re.findall(r'(?:src|href)="(?!data:)', page)  # nothing is fetched from elsewhere
    for tag in ('script', 'style'):
        (text,) = re.findall(rf'<{tag}>(.*?)</{tag}>', page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert 'innerHTML' not in page  # names of classes are text
    about = json.loads(ask(server, 'GET', '/model')[2])
    assert 'UPSNet' in about['name'] and len(about['classes']) == 10


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 10,000 x 10,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack('>I', len(content)) + body + struct.pack('>I', zlib.crc32(body))

    head = struct.pack('>IIBBBBB', 10_000, 10_000, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(b''))
        + chunk(b'IEND', b'')
    )  # fmt: skip


@pytest.mark.parametrize(
    ('body', 'status', 'message'),
    [
        (b'', 415, 'no picture of the formats'),
        (b'/etc/passwd', 415, 'no picture of the formats'),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, 'no picture'),
        (photo()[:-40], 422, 'cannot be read'),
        (bomb(), 413, '10000 x 10000 pixels'),
        (photo('webp', (500, 400)), 413, '500 x 400 pixels'),
        (b'x' * 300_000, 413, 'larger than 0.2 MB'),
    ],
    ids=['empty', 'a path', 'svg', 'cut off', 'bomb', 'pixels', 'bytes'],
)
def test_what_is_refused(server: PageServer, body: bytes, status: int, message: str) -> None:
    found, error = refusal(server, body)
    assert found == status and message in error and 'Traceback' not in error


@pytest.mark.parametrize('score', ['nan', '2', 'x', '-0.1', 'inf'])
def test_scores_that_are_none(server: PageServer, score: str) -> None:
    assert refusal(server, photo(), f'/predict?min_score={score}')[0] == 400


def test_other_addresses_and_methods(server: PageServer) -> None:
    assert ask(server, 'GET', '/../../etc/passwd')[0] == 404
    assert ask(server, 'GET', '/page.html')[0] == 404
    assert refusal(server, photo(), '/elsewhere')[0] == 404
    assert ask(server, 'DELETE', '/')[0] == 501


@pytest.mark.parametrize(
    'headers',
    [
        {'Host': 'evil.example'},
        {'Host': 'evil.example', 'Origin': 'http://evil.example'},
        {'Origin': 'http://evil.example'},
        {'Origin': 'null'},
    ],
)
def test_pages_of_other_sites(server: PageServer, headers: dict[str, str]) -> None:
    assert refusal(server, photo(), **headers)[0] == 403


def test_the_own_page_may(server: PageServer) -> None:
    host, port = server.server_address[:2]
    assert ask(server, 'POST', '/predict', photo(), Origin=f'http://{host}:{port}')[0] == 200


def raw(server: PageServer, text: bytes) -> bytes:
    with socket.create_connection(server.server_address[:2], timeout=30) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(4096):
            parts.append(part)
    return b''.join(parts)


@pytest.mark.parametrize(
    ('headers', 'status'),
    [
        (b'', b'411'),
        (b'Content-Length: -1\r\n', b'411'),
        (b'Content-Length: 9999999999999\r\n', b'413'),
        (b'Content-Length: 500\r\n', b'400'),
        (b'Transfer-Encoding: chunked\r\n', b'411'),
    ],
)
def test_lengths_that_are_none(server: PageServer, headers: bytes, status: bytes) -> None:
    text = b'POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n' + headers + b'\r\n'
    assert raw(server, text).split()[1] == status


def test_a_fault_of_the_model_stays_in_the_terminal(
    server: PageServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(image: Any) -> None:
        raise RuntimeError('a secret path')

    monkeypatch.setattr(server, 'model', FailingModel(server.model, fail))
    status, error = refusal(server, photo())
    assert status == 500 and 'secret' not in error
    assert 'a secret path' in capsys.readouterr().err


class FailingModel:
    """A model that raises; the rest of it is as it was."""

    def __init__(self, model: mmext.Model, call: Any) -> None:
        self.predictor, self.call = model.predictor, call

    def __call__(self, image: Any) -> Any:
        return self.call(image)


def test_a_busy_model_is_said(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, server.turn:
        patch.setattr(server, 'limits', dataclasses.replace(server.limits, wait_s=0.2))
        status, error = refusal(server, photo())
    assert status == 503 and 'try again' in error
    assert ask(server, 'POST', '/predict', photo())[0] == 200


def test_several_browsers_at_once(server: PageServer) -> None:
    statuses: list[int] = []

    def send() -> None:
        statuses.append(ask(server, 'POST', '/predict', photo())[0])

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 3


def test_connections_beyond_the_limit_are_closed(server: PageServer) -> None:
    address = server.server_address[:2]
    idle = [socket.create_connection(address, timeout=30) for _ in range(server.limits.connections)]
    for connection in idle:  # each has its thread when a line of it was read
        connection.sendall(b'GET / HTTP/1.1\r\n')
    more = socket.create_connection(address, timeout=30)
    assert more.recv(10) == b''
    for connection in [*idle, more]:
        connection.close()


def test_a_connection_in_store_is_no_fault(
    server: PageServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Browsers open some that they never use."""
    monkeypatch.setattr(PageHandler, 'timeout', 0.2)
    with socket.create_connection(server.server_address[:2], timeout=30) as connection:
        assert connection.recv(10) == b''  # closed by the server, its time was up
    assert ask(server, 'POST', '/predict', photo())[0] == 200
    assert 'Traceback' not in capsys.readouterr().err


def test_places_to_listen_at(model: mmext.Model, server: PageServer) -> None:
    with pytest.raises(InputError, match='name another --port'):
        PageServer(model, '127.0.0.1', server.server_address[1], Limits())
    with pytest.raises(InputError, match=r'cannot listen at 203\.0\.113\.7'):
        PageServer(model, '203.0.113.7', 0, Limits())
    with PageServer(model, '0.0.0.0', 0, Limits()) as everywhere:
        assert not everywhere.is_local and everywhere.url.startswith('http://127.0.0.1:')
    assert server.is_local
