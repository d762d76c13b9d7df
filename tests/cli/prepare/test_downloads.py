"""Downloads that break, go on and are checked, against a real server on the loopback."""

import hashlib
import http.client
import io
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmext import downloads
from mmext.downloads import (
    check_digest,
    download,
    extract,
    read_checksums,
    remote_size,
)
from mmext.errors import InputError

CONTENT = np.random.default_rng(0).bytes(300_000)


def fetch(server: Any, target: Path) -> int:
    """Fetch the file and return how many bytes the progress bar was told."""
    counts: list[int] = []
    download(f'{server.url}/file.bin', target, counts.append, pause_s=0)
    return sum(counts)


def test_fetches_once(server: Any, tmp_path: Path) -> None:
    server.files['file.bin'] = CONTENT
    target = tmp_path / 'new' / 'file.bin'
    assert fetch(server, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ['file.bin']
    assert fetch(server, target) == 0
    assert len(server.requests) == 1
    assert remote_size(f'{server.url}/file.bin') == len(CONTENT)


def test_goes_on_where_the_connection_broke(server: Any, tmp_path: Path) -> None:
    server.files['file.bin'] = CONTENT
    server.breaks = [1000, 50_000]
    assert fetch(server, tmp_path / 'file.bin') == len(CONTENT)
    assert (tmp_path / 'file.bin').read_bytes() == CONTENT
    assert [asked for _, _, asked in server.requests] == [None, 'bytes=1000-', 'bytes=51000-']


def test_goes_on_in_the_next_call(server: Any, tmp_path: Path) -> None:
    server.files['file.bin'] = CONTENT
    server.breaks = [70_000, 0, 0, 0, 0, 0]
    with pytest.raises(InputError, match=r'5 times; 70000 bytes are kept in .*file\.bin\.part'):
        fetch(server, tmp_path / 'file.bin')
    assert not (tmp_path / 'file.bin').exists()
    assert fetch(server, tmp_path / 'file.bin') == len(CONTENT)
    assert (tmp_path / 'file.bin').read_bytes() == CONTENT
    assert server.requests[-1][2] == 'bytes=70000-'


def test_a_bad_day_of_the_server_costs_nothing_that_was_fetched(
    server: Any, tmp_path: Path
) -> None:
    """It answers with less, without ranges or with a web page; then it is well again."""
    part = tmp_path / 'file.bin.part'
    server.files['file.bin'] = CONTENT
    server.breaks = [70_000, 0, 0, 0, 0, 0]
    with pytest.raises(InputError):
        fetch(server, tmp_path / 'file.bin')
    server.ranges = False
    server.breaks = [50_000] * 5
    with pytest.raises(InputError, match='70000 bytes are kept'):
        fetch(server, tmp_path / 'file.bin')
    server.breaks = []
    server.kind = 'text/html; charset=utf-8'
    server.files['file.bin'] = b'<html>please log in</html>'
    with pytest.raises(InputError, match='answers with a web page'):
        fetch(server, tmp_path / 'file.bin')
    assert part.read_bytes() == CONTENT[:70_000]
    server.kind = ''
    server.files['file.bin'] = b'another version' * 9999
    server.breaks = [9000] * 20
    with pytest.raises(InputError, match='70000 bytes are kept'):
        fetch(server, tmp_path / 'file.bin')
    server.files['file.bin'], server.ranges, server.breaks = CONTENT, True, []
    assert fetch(server, tmp_path / 'file.bin') == len(CONTENT)
    assert (tmp_path / 'file.bin').read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ['file.bin']


def test_two_at_once_fetch_it_once(server: Any, tmp_path: Path) -> None:
    server.files['file.bin'] = CONTENT
    server.breaks = [1000, 50_000]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch(server, tmp_path / 'file.bin'), range(4)))
    assert (tmp_path / 'file.bin').read_bytes() == CONTENT and len(server.requests) == 3


def test_a_server_without_head_still_has_files(server: Any) -> None:
    server.files['file.bin'] = CONTENT
    server.head_status = 405
    assert remote_size(f'{server.url}/file.bin') is None


def test_https_is_not_left_for_http(tmp_path: Path) -> None:
    handler = downloads._NoWayDown()
    asked = urllib.request.Request('https://a/x')
    with pytest.raises(OSError, match='points from https to http://b/x'):
        handler.redirect_request(asked, None, 302, '', http.client.HTTPMessage(), 'http://b/x')
    headers = http.client.HTTPMessage()
    followed = handler.redirect_request(asked, None, 302, '', headers, 'https://b/x')
    assert followed is not None and followed.full_url == 'https://b/x'


@pytest.mark.parametrize('change', ['version', 'ranges'])
def test_does_not_mix_versions(change: str, server: Any, tmp_path: Path) -> None:
    """A file that was replaced meanwhile, or a server without ranges, begins anew."""
    server.files['file.bin'] = CONTENT
    server.breaks = [70_000, 0, 0, 0, 0, 0]
    with pytest.raises(InputError):
        fetch(server, tmp_path / 'file.bin')
    if change == 'version':
        server.files['file.bin'] = CONTENT[::-1]
    else:
        server.ranges = False
    fetch(server, tmp_path / 'file.bin')
    assert (tmp_path / 'file.bin').read_bytes() == server.files['file.bin']


def test_a_complete_part_is_taken(server: Any, tmp_path: Path) -> None:
    """The process died between the last byte and the renaming."""
    server.files['file.bin'] = CONTENT
    server.breaks = [70_000, 0, 0, 0, 0, 0]
    with pytest.raises(InputError):
        fetch(server, tmp_path / 'file.bin')
    (tmp_path / 'file.bin.part').write_bytes(CONTENT)
    fetch(server, tmp_path / 'file.bin')
    assert (tmp_path / 'file.bin').read_bytes() == CONTENT


def test_waits_out_a_busy_server_but_not_a_missing_file(server: Any, tmp_path: Path) -> None:
    server.files['file.bin'] = CONTENT
    server.answers = [503, 500]
    fetch(server, tmp_path / 'file.bin')
    assert (tmp_path / 'file.bin').read_bytes() == CONTENT
    server.requests.clear()
    with pytest.raises(InputError, match=r'/gone: the server answers 404'):
        download(f'{server.url}/gone', tmp_path / 'gone', pause_s=0)
    assert len(server.requests) == 1


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'127\.0\.0\.1:9/x: .*refused.*5 times; 0 bytes'):
        download('http://127.0.0.1:9/x', tmp_path / 'x', pause_s=0)
    with pytest.raises(InputError, match='cannot be reached'):
        remote_size('http://127.0.0.1:9/x')


@pytest.mark.parametrize('kind', ['md5', 'sha1', 'sha256'])
def test_checksums(kind: str, tmp_path: Path) -> None:
    file, sums = tmp_path / 'a.zip', tmp_path / 'sums'
    file.write_bytes(CONTENT)
    digest = hashlib.new(kind, CONTENT).hexdigest()
    sums.write_text(f'{digest.upper()}  ./dir/a.zip\n\n{digest} *b.zip\n')
    digests = read_checksums(sums)
    assert digests == {'a.zip': digest, 'b.zip': digest}
    check_digest(file, digests)
    check_digest(file, {})
    file.write_bytes(CONTENT[1:])
    with pytest.raises(InputError, match=rf'a\.zip: {kind} .*, expected {digest}\. .* delete it'):
        check_digest(file, digests)


@pytest.mark.parametrize('line', ['nothing', 'abc  a.zip', f'{"z" * 32}  a.zip', f'{"a" * 32}'])
def test_checksum_files_are_read_strictly(line: str, tmp_path: Path) -> None:
    (tmp_path / 'sums').write_text(f'{"0" * 32}  fine\n{line}\n')
    with pytest.raises(InputError, match='sums, line 2: expected "digest  name"'):
        read_checksums(tmp_path / 'sums')
    with pytest.raises(InputError, match='no such file'):
        read_checksums(tmp_path / 'gone')


def test_unpacks_only_what_is_not_there(tmp_path: Path) -> None:
    archive = tmp_path / 'a.zip'
    archive.write_bytes(zipped({'d/one.txt': b'one', 'd/two.txt': b'two', 'three': b'three'}))
    (tmp_path / 'out' / 'd').mkdir(parents=True)
    (tmp_path / 'out' / 'd' / 'one.txt').write_bytes(b'ONE')
    (tmp_path / 'out' / 'd' / 'two.txt').write_bytes(b'tw')  # an unpacking that was killed
    counts: list[int] = []
    extract(archive, tmp_path / 'out', counts.append)
    assert sum(counts) == 3
    assert (tmp_path / 'out' / 'd' / 'one.txt').read_bytes() == b'ONE'
    assert (tmp_path / 'out' / 'd' / 'two.txt').read_bytes() == b'two'
    assert (tmp_path / 'out' / 'three').read_bytes() == b'three'


@pytest.mark.parametrize('damage', ['flipped', 'cut', 'other'])
def test_a_damaged_archive_is_found(damage: str, tmp_path: Path) -> None:
    content = bytearray(zipped({'data': CONTENT}))
    if damage == 'flipped':
        content[5000] ^= 1
    archive = tmp_path / 'a.zip'
    archive.write_bytes({'flipped': content, 'cut': content[:5000], 'other': b'<html>'}[damage])
    with pytest.raises(InputError, match=r'a\.zip is damaged .* delete it'):
        extract(archive, tmp_path / 'out')


def test_archives_that_cannot_be_unpacked_are_one_line_and_stay_inside(tmp_path: Path) -> None:
    archive, out = tmp_path / 'a.zip', tmp_path / 'out'
    out.mkdir()
    plain = zipped({'data': CONTENT})
    with zipfile.ZipFile(io.BytesIO(plain)) as content:
        flags = content.infolist()[0].header_offset + 6
    head, central = flags, plain.rindex(b'PK\x01\x02') + 8
    encrypted, method = bytearray(plain), bytearray(plain)
    for place in (head, central):
        encrypted[place] |= 1
        method[place + 2] = 97
    long, over = zipped({'n' * 300: b'x'}), zipped({'d/x': b'x'})
    (out / 'd').touch()
    for content, words in ((encrypted, 'password'), (method, 'compression method'),
                           (long, 'cannot be written'), (over, 'cannot be written')):  # fmt: skip
        archive.write_bytes(content)
        with pytest.raises(InputError, match=rf'a\.zip.*{words}'):
            extract(archive, out)
    archive.write_bytes(zipped({'../up.txt': b'x', '/abs.txt': b'x'}))
    extract(archive, out)
    assert {path.name for path in tmp_path.iterdir()} == {'a.zip', 'out'}
    assert {path.name for path in out.iterdir()} == {'d', 'up.txt', 'abs.txt'}


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip without compression."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, 'w') as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()
