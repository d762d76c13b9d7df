"""Large files over HTTP: a broken download goes on where it stopped, and is checked at the end.

Beside ``NAME`` stand, while it is incomplete, ``NAME.part`` and ``NAME.part.etag``: the server's
mark of the version that the part is of. A server that knows no ranges sends the file from the
beginning: what is there already is passed over. Another version arrives in ``NAME.fresh``, which
replaces the part once it is longer: a server with a bad day costs nothing of what was fetched. An
address in https is not left for one in http. Two programs that want one file wait for each other.
"""

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmext.errors import InputError

_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_ATTEMPTS = 5  # in a row without a byte
_HASHES = {32: 'md5', 40: 'sha1', 64: 'sha256'}  # by the length of their hexadecimal form
_GONE = (400, 401, 403, 404, 410)  # trying again does not help
_NO_HEAD = (403, 405, 501)

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
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f'{target.name}.part')
    with _alone(part.with_suffix('.lock')):
        if not target.exists():
            _download(url, target, part, advance, pause_s)


def _download(url: str, target: Path, part: Path, advance: Advance, pause_s: float) -> None:
    shown = failures = 0
    while True:
        before = _size(part)
        advance(before - shown)
        shown = before
        try:
            complete = _fetch(url, part)
            problem = 'the connection ended early'
        except urllib.error.HTTPError as error:
            problem = f'the server answers {error.code} {" ".join(str(error.reason).split())}'
            if error.code in _GONE:
                raise InputError(f'{url}: {problem}') from error
            complete = False
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


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Wait until no other process is in here with this file, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    while True:
        with file.open('w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_still(lock.fileno(), file):
                continue  # whom we waited for has removed it
            try:
                yield
            finally:
                file.unlink()
            return


def _is_still(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:  # also one that somebody else made, and removed just now
        return False


def remote_size(url: str) -> int | None:
    """Bytes of a file on its server; None where the server does not say, or not without the file.

    Raises:
        InputError: there is no such server or file.
    """
    request = urllib.request.Request(url, method='HEAD')
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
            length = answer.headers['Content-Length']
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError) and error.code in _NO_HEAD:
            return None
        said = ' '.join(str(error).split())
        raise InputError(f'{url} cannot be reached: {said}') from error
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

    Names with ``..``, absolute ones and links stay inside of the folder, as :mod:`zipfile` sees to.

    Raises:
        InputError: the archive is damaged, encrypted or packed in a way that is not known here, a
            file of it cannot be written, or the disk is too small.
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
    except (zipfile.BadZipFile, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'{archive} is damaged ({error}); delete it and run again') from error
    except (RuntimeError, NotImplementedError) as error:  # a password, a method of packing
        raise InputError(f'{archive} cannot be unpacked: {error}') from error
    except OSError as error:
        place = error.filename or folder
        raise InputError(f'{archive}: {place} cannot be written: {error.strerror}') from error


def _fetch(url: str, part: Path) -> bool:
    """One attempt; whether the file is complete."""
    have, mark = _size(part), _mark(part)
    version = mark.read_text() if mark.exists() else None
    headers = {'Range': f'bytes={have}-', 'If-Range': version} if have and version else {}
    try:
        answer = _OPENER.open(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S
        )  # closed below
    except urllib.error.HTTPError as error:
        if error.code == 416 and have and error.headers['Content-Range'] == f'bytes */{have}':
            return True  # nothing was left to send
        raise
    with answer:
        if answer.headers.get_content_type() == 'text/html':
            raise OSError('the server answers with a web page')
        length = answer.headers['Content-Length']
        if length:
            _check_room(part.parent, int(length))
        etag = answer.headers['ETag'] or answer.headers['Last-Modified']
        start = have if answer.status == 206 else 0
        if start or not have:
            _note(mark, etag)
            _append(answer, part)
        elif etag and etag == version:
            _pass_over(answer, have)
            _append(answer, part)
        else:
            _receive_another(answer, part, etag)
    return length is None or _size(part) == start + int(length)


def _append(answer: http.client.HTTPResponse, file: Path) -> None:
    with file.open('ab') as out:
        while chunk := answer.read(_CHUNK):
            out.write(chunk)


def _pass_over(answer: http.client.HTTPResponse, count: int) -> None:
    """Read what is there already, of a server that knows no ranges."""
    while count and (chunk := answer.read(min(_CHUNK, count))):
        count -= len(chunk)


def _receive_another(answer: http.client.HTTPResponse, part: Path, etag: str | None) -> None:
    """Take another version of the file, beside the part of the old one until it is longer."""
    fresh = part.with_suffix('.fresh')
    fresh.unlink(missing_ok=True)
    try:
        _append(answer, fresh)
    finally:
        length = answer.headers['Content-Length']
        whole = _size(fresh) == int(length) if length else True
        if whole or _size(fresh) > _size(part):
            fresh.replace(part)
            _note(_mark(part), etag)
        else:
            fresh.unlink()


def _note(mark: Path, etag: str | None) -> None:
    if etag:
        mark.write_text(etag)
    else:
        mark.unlink(missing_ok=True)


class _NoWayDown(urllib.request.HTTPRedirectHandler):
    """Follows no redirection from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Refuse, or go on as urllib does."""
        if req.full_url.startswith('https:') and not newurl.startswith('https:'):
            raise urllib.error.URLError(f'the server points from https to {newurl}')
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_NoWayDown)


def _check_room(folder: Path, needed: int) -> None:
    existing = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise InputError(f'{folder}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB free')


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _mark(part: Path) -> Path:
    return part.with_name(f'{part.name}.etag')
