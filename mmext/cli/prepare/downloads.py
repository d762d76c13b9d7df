"""Large files over HTTP: a broken download goes on where it stopped, and is checked at the end.

Beside ``NAME`` stand, while it is incomplete, ``NAME.part`` and ``NAME.part.etag``: the server's
mark of the version that the part is of. A server that has another version by then, or knows no
ranges, sends the file from the beginning.
"""

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from mmext.errors import InputError

_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_ATTEMPTS = 5  # in a row without a byte
_HASHES = {32: 'md5', 40: 'sha1', 64: 'sha256'}  # by the length of their hexadecimal form
_GONE = (400, 401, 403, 404, 410)  # trying again does not help

Advance = Callable[[int], None]


def download(
    url: str, target: Path, advance: Advance = lambda count: None, pause_s: float = 2.0
) -> None:
    """Fetch a file; does nothing where it is already.

    Args:
        url: http(s).
        target: the file; its folder is made.
        advance: told how many bytes came, or were there from an earlier attempt.
        pause_s: between attempts.

    Raises:
        InputError: the server does not have it, or the connection broke too often; what came is
            kept and the next call goes on from there.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f'{target.name}.part')
    shown = failures = 0
    while True:
        before = _size(part)
        advance(before - shown)
        shown = before
        try:
            complete = _fetch(url, part)
            problem = 'the connection ended early'
        except urllib.error.HTTPError as error:
            if error.code in _GONE:
                raise InputError(
                    f'{url}: the server answers {error.code} {error.reason}'
                ) from error
            complete, problem = False, f'the server answers {error.code} {error.reason}'
        except (OSError, http.client.HTTPException) as error:
            complete, problem = False, str(error) or type(error).__name__
        if complete:
            advance(_size(part) - shown)
            part.replace(target)
            _mark(part).unlink(missing_ok=True)
            return
        failures = 0 if _size(part) > before else failures + 1
        if failures == _ATTEMPTS:
            raise InputError(
                f'{url}: {problem}, {_ATTEMPTS} times; {_size(part)} bytes are kept in {part}, '
                'run again to go on from there'
            )
        time.sleep(pause_s if failures else 0)


def remote_size(url: str) -> int | None:
    """Bytes of a file on its server; None where the server does not say.

    Raises:
        InputError: there is no such server or file.
    """
    request = urllib.request.Request(url, method='HEAD')
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            length = answer.headers['Content-Length']
    except OSError as error:
        raise InputError(f'{url} cannot be reached: {error}') from error
    return int(length) if length else None


def read_checksums(path: Path) -> dict[str, str]:
    """Lines ``digest  name`` as ``md5sum``, ``sha1sum`` and ``sha256sum`` write them, by name.

    Raises:
        InputError: the file is missing or has another line.
    """
    if not path.is_file():
        raise InputError(f'--checksums: no such file: {path.absolute()}')
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        digest, _, name = line.strip().partition(' ')
        if not line.strip():
            continue
        if len(digest) not in _HASHES or set(digest.lower()) - set('0123456789abcdef') or not name:
            raise InputError(
                f'--checksums: {path}, line {number}: expected "digest  name" with an MD5, SHA-1 '
                f'or SHA-256, got {line!r}'
            )
        found[Path(name.strip().lstrip('*')).name] = digest.lower()
    return found


def check_digest(path: Path, digests: Mapping[str, str]) -> None:
    """Compare a file with its checksum, if there is one for its name.

    Raises:
        InputError: it differs.
    """
    expected = digests.get(path.name)
    if expected is None:
        return
    kind = _HASHES[len(expected)]
    with path.open('rb') as file:
        actual = hashlib.file_digest(file, kind).hexdigest()
    if actual != expected:
        raise InputError(
            f'{path}: {kind} {actual}, expected {expected}. The file is damaged or another '
            'version; delete it and run again'
        )


def extract(archive: Path, folder: Path, advance: Advance = lambda count: None) -> None:
    """Unpack a zip; every file is compared with the archive's own CRC-32.

    Files that are there with their size are not written again.

    Raises:
        InputError: the archive is damaged, or the disk is too small.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if not member.is_dir()]
            lacking = [m for m in members if _size(folder / m.filename) != m.file_size]
            _check_room(folder, sum(member.file_size for member in lacking))
            advance(len(members) - len(lacking))
            for member in lacking:
                content.extract(member, folder)
                advance(1)
    except (zipfile.BadZipFile, EOFError) as error:
        raise InputError(f'{archive} is damaged ({error}); delete it and run again') from error


def _fetch(url: str, part: Path) -> bool:
    """One attempt; whether the file is complete."""
    have, mark = _size(part), _mark(part)
    headers = {}
    if have and mark.exists():
        headers = {'Range': f'bytes={have}-', 'If-Range': mark.read_text()}
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have and error.headers['Content-Range'] == f'bytes */{have}':
            return True  # nothing was left to send
        raise
    with answer:
        goes_on = answer.status == 206
        start = have if goes_on else 0
        length = answer.headers['Content-Length']
        etag = answer.headers['ETag'] or answer.headers['Last-Modified']
        if etag:
            mark.write_text(etag)
        else:
            mark.unlink(missing_ok=True)
        if length:
            _check_room(part.parent, int(length))
        with part.open('ab' if goes_on else 'wb') as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
    return length is None or _size(part) == start + int(length)


def _check_room(folder: Path, needed: int) -> None:
    existing = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise InputError(f'{folder}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB free')


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _mark(part: Path) -> Path:
    return part.with_name(f'{part.name}.etag')
