"""A COCO of a few pictures, and a server that has files, ranges and bad days."""

import http.server
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmext.formats.panoptic_files import encode_id_png

sys.path.insert(0, str(Path(__file__).parent))  # the modules that tests of this folder share

COUNTS = {'train': 6, 'val': 3}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Photos with two segments each, in the layout of COCO, with all kinds of annotation."""
    root = tmp_path / 'coco'
    for split, count in COUNTS.items():
        write_split(root, split, count)
    return root


def write_split(root: Path, split: str, count: int) -> None:
    """The upper half of a picture is a thing, most of the rest is stuff."""
    rng = np.random.default_rng(count)
    photos, maps = root / f'{split}2017', root / 'annotations' / f'panoptic_{split}2017'
    photos.mkdir(parents=True)
    maps.mkdir(parents=True)
    content: dict[str, dict[str, list[Any]]] = {
        kind: {'images': [], 'annotations': []}
        for kind in ('instances', 'panoptic', 'person_keypoints')
    }
    for number in range(1, count + 1):
        width, height = 30 + number, 20
        image = dict(id=number, file_name=f'{number:012d}.jpg', width=width, height=height)
        pixels = rng.integers(0, 255, (height, width, 3), np.uint8)
        cv2.imwrite(str(photos / image['file_name']), pixels)
        ids = np.zeros((height, width), np.int64)
        ids[:10], ids[12:] = 70_000 + number, 5
        (maps / f'{number:012d}.png').write_bytes(encode_id_png(ids))
        area = 10 * width
        box = dict(bbox=[0, 0, width, 10], area=area, iscrowd=0)
        segments = [
            dict(id=70_000 + number, category_id=1, **box),
            dict(id=5, category_id=90, bbox=[0, 12, width, 8], area=8 * width, iscrowd=0),
        ]
        annotation = dict(id=100 * number, image_id=number, category_id=1, segmentation=[], **box)
        content['instances']['annotations'].append(annotation)
        content['person_keypoints']['annotations'].append(
            annotation | dict(keypoints=[0] * 51, num_keypoints=0)
        )
        content['panoptic']['annotations'].append(
            dict(image_id=number, file_name=f'{number:012d}.png', segments_info=segments)
        )
        for part in content.values():
            part['images'].append(image)
    person, grass = dict(id=1, name='person', isthing=1), dict(id=90, name='grass', isthing=0)
    for kind, part in content.items():
        table = [person, grass] if kind == 'panoptic' else [person]
        path = root / 'annotations' / f'{kind}_{split}2017.json'
        path.write_text(json.dumps(dict(info={}, licenses=[], categories=table, **part)))


class Server:
    """Files by path, over HTTP with ranges; what was asked for is kept.

    Attributes:
        files: content by path.
        breaks: after so many bytes the connection ends, once for each entry.
        ranges: whether it knows them.
        answers: status of the next requests instead of the file.
        head_status: answer to HEAD instead of the size.
        kind: type of the content.
        requests: method, path and range of every request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks: list[int] = []
        self.ranges = True
        self.answers: list[int] = []
        self.head_status = 0
        self.kind = ''
        self.requests: list[tuple[str, str, str | None]] = []
        self.url = ''


def handler_of(state: Server) -> type[http.server.BaseHTTPRequestHandler]:
    """The request handler of a server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            asked = self.headers['Range']
            state.requests.append((self.command, self.path, asked))
            content = state.files.get(self.path.lstrip('/'))
            if not body and state.head_status:
                self.send_error(state.head_status)
                return
            if content is None or (body and state.answers):
                self.send_error(404 if content is None else state.answers.pop(0))
                return
            etag = f'"{hash(content) & 0xFFFFFFFF:x}"'
            start = 0
            match = re.fullmatch(r'bytes=(\d+)-', asked or '')
            if match and state.ranges and self.headers['If-Range'] in (None, etag):
                start = int(match[1])
            if start and start >= len(content):
                self.send_response(416)
                self.send_header('Content-Range', f'bytes */{len(content)}')
                self.send_header('Content-Length', '0')
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            self.send_header('Content-Length', str(len(content) - start))
            self.send_header('ETag', etag)
            if state.kind:
                self.send_header('Content-Type', state.kind)
            self.end_headers()
            if body:
                rest = content[start:]
                self.wfile.write(rest[: state.breaks.pop(0)] if state.breaks else rest)

        def log_message(self, *arguments: Any) -> None:
            """Quiet."""

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on the loopback."""
    state = Server()
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler_of(state)) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        state.url = f'http://127.0.0.1:{http_server.server_address[1]}'
        yield state
        http_server.shutdown()
        thread.join(10)
