"""Check a COCO 2017 data set, fetch what is missing, or cut a small one out of it.

python tools/prepare_data.py coco --root data/coco                       # says what is missing
python tools/prepare_data.py coco --root data/coco --download            # and fetches it
python tools/prepare_data.py coco --root data/coco --subset 100 --out data/coco_small
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from mmext.cli.prepare import coco_layout as layout
from mmext.cli.prepare.coco_check import ABSENT, BROKEN, MISSING, OK, Finding, check_split
from mmext.cli.prepare.coco_subset import write_subset
from mmext.downloads import (
    check_digest,
    download,
    extract,
    read_checksums,
    remote_size,
)
from mmext.errors import InputError
from mmext.progress import progress_bar

_COLOURS = {OK: 'green', MISSING: 'red', BROKEN: 'red', ABSENT: 'yellow'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('--root', type=Path, default=Path('data/coco'), help='default data/coco')
    parser.add_argument(
        '--splits', nargs='+', choices=layout.SPLITS, default=layout.SPLITS, help='default: both'
    )
    parser.add_argument(
        '--decode',
        type=int,
        default=200,
        metavar='N',
        help='panoptic PNGs of a split to compare pixel by pixel (default 200)',
    )
    parser.add_argument('--download', action='store_true', help='fetch what is missing')
    parser.add_argument(
        '--url', default=layout.BASE_URL, help='of the server (default %(default)s)'
    )
    parser.add_argument(
        '--checksums',
        type=Path,
        metavar='FILE',
        help='digests of the archives, as md5sum or sha256sum write them. Without it an archive '
        'is compared with the size that the server states and the CRC-32 inside of it',
    )
    parser.add_argument('--keep-archives', action='store_true', help='in ROOT/archives')
    parser.add_argument('--subset', type=int, metavar='N', help='write N photos of every split')
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder of the subset')


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: the set is not complete, or what was asked for cannot be done.
    """
    if (arguments.subset is None) != (arguments.out is None):
        raise InputError('--subset N and --out DIR belong together')
    if arguments.subset is not None and arguments.subset < 1:
        raise InputError(f'--subset: expected 1 or more, got {arguments.subset}')
    if not arguments.root.is_dir() and not arguments.download:
        raise InputError(
            f'no such folder: {arguments.root.absolute()}. Name the data set with --root, or '
            'fetch it with --download (20 GB)'
        )
    if arguments.download:
        _fetch_missing(arguments)
    findings = check(arguments.root, arguments.splits, arguments.decode)
    wrong = [finding for finding in findings if finding.state in (MISSING, BROKEN)]
    if arguments.subset is not None:
        _write_subset(arguments)
    elif wrong:
        raise InputError(f'{len(wrong)} of {len(findings)} pieces are missing or broken, see above')


def check(root: Path, splits: Sequence[str], decode: int) -> list[Finding]:
    """Look at a set and print what was found."""
    findings: list[Finding] = []
    for split in splits:
        with progress_bar(f'checking {split}', None, 'file') as advance:
            findings += check_split(root, split, decode, advance)
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        state = f'[{_COLOURS[finding.state]}]{finding.state:8}[/]'
        console.print(state, finding.piece, '–', escape(finding.text))
    return findings


def archives(findings: Sequence[Finding]) -> list[str]:
    """The archives that have what is missing, below the server's URL."""
    needed = []
    for finding in findings:
        if finding.state != MISSING:
            continue
        name = Path(finding.piece).name
        if finding.piece.startswith('annotations'):
            kind = next(kind for kind in layout.KINDS if name.startswith(kind))
            needed.append(layout.ANNOTATION_ARCHIVES[kind])
        else:
            needed.append(f'zips/{name}.zip')
    return list(dict.fromkeys(needed))


def _fetch_missing(arguments: argparse.Namespace) -> None:
    digests = read_checksums(arguments.checksums) if arguments.checksums else {}
    root: Path = arguments.root
    root.mkdir(parents=True, exist_ok=True)
    findings = [f for split in arguments.splits for f in check_split(root, split, decode=0)]
    for archive in archives(findings):
        url = f'{arguments.url.rstrip("/")}/{archive}'
        file = root / 'archives' / Path(archive).name
        with progress_bar(f'fetching {file.name}', remote_size(url), 'B') as advance:
            download(url, file, advance)
        check_digest(file, digests)
        with progress_bar(f'unpacking {file.name}', None, 'file') as advance:
            extract(file, root, advance)
            _unpack_maps(root, arguments.splits)
        if not arguments.keep_archives:
            file.unlink()
    if (root / 'archives').is_dir() and not any((root / 'archives').iterdir()):
        (root / 'archives').rmdir()


def _unpack_maps(root: Path, splits: Sequence[str]) -> None:
    """The panoptic archive holds its PNGs in archives of their own."""
    for split in splits:
        folder = layout.map_folder(root, split)
        inner = folder.with_suffix('.zip')
        if inner.is_file():
            extract(inner, folder.parent)
            inner.unlink()


def _write_subset(arguments: argparse.Namespace) -> None:
    for split in arguments.splits:
        with progress_bar(f'copying {split}', arguments.subset, 'photo') as advance:
            count = write_subset(arguments.root, arguments.out, split, arguments.subset, advance)
        print(f'{split}: {count} photos')
    findings = check(arguments.out, arguments.splits, arguments.subset)
    if any(finding.state == BROKEN for finding in findings):
        raise InputError(f'the subset in {arguments.out} is broken, see above')
