"""Check a WIDER FACE download: which pieces are there, complete and of one kind.

python tools/prepare_data.py wider-face --root data/wider_face
python tools/prepare_data.py wider-face --root data/wider_face --images   # opens every photo too
python tools/prepare_data.py wider-face --root data/wider_face --labelv2  # and writes labelv2.txt

Nothing is downloaded: the archives come from forms and drives. Which archive has a missing
piece is said. Expected below the root:

  WIDER_{train,val}/images/EVENT/PHOTO.jpg               WIDER_{train,val}.zip
  wider_face_split/wider_face_{train,val}_bbx_gt.txt     wider_face_split.zip, six attributes
  retinaface_gt_v1.1/{train,val}/label.txt               retinaface_gt_v1.1.zip, landmarks
  ground_truth/wider_{face,easy,medium,hard}_val.mat     eval_tools.zip, the evaluation
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from mmext.cli.prepare.coco_check import BROKEN, MISSING, OK, Finding
from mmext.cli.prepare.wider_face_check import (
    boxes_finding,
    describe_faces,
    photo_findings,
    sized,
)
from mmext.errors import InputError
from mmext.formats.wider_face_files import ImageFaces, read_faces, write_faces
from mmext.formats.wider_face_ground_truth import read_ground_truth
from mmext.progress import progress_bar

SPLITS = ('train', 'val')
_COLOURS = {OK: 'green', MISSING: 'red', BROKEN: 'red'}
Advance = Callable[[int], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    root = Path('data/wider_face')
    parser.add_argument('--root', type=Path, default=root, help='default data/wider_face')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=SPLITS, help='default: both')
    parser.add_argument(
        '--images', action='store_true', help='open every photo: is it one, are the faces in it?'
    )
    parser.add_argument(
        '--labelv2',
        action='store_true',
        help='write labelv2/SPLIT/labelv2.txt, which states the size of every photo',
    )


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a piece is missing or broken.
    """
    root: Path = arguments.root
    if not root.is_dir():
        raise InputError(
            f'no such folder: {root.absolute()}. Unpack WIDER FACE there or name its place with '
            '--root; for a trial without a download: python -m mmext.demo faces --out '
            'data/demo_faces, then configs/retinaface_demo.py'
        )
    findings: list[Finding] = []
    for split in arguments.splits:
        with progress_bar(f'checking {split}', None, 'photo') as advance:
            findings += check_split(root, split, arguments.images, advance)
    if 'val' in arguments.splits:
        findings.append(check_ground_truth(root))
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        state = f'[{_COLOURS[finding.state]}]{finding.state:8}[/]'
        console.print(state, finding.piece, '–', escape(finding.text))
    if arguments.labelv2:
        for split in arguments.splits:
            console.print(f'written: {write_labelv2(root, split)}')
    wrong = [finding for finding in findings if finding.state != OK]
    if wrong:
        raise InputError(f'{len(wrong)} of {len(findings)} pieces are missing or broken, see above')


def check_split(
    root: Path, split: str, open_images: bool, advance: Advance = lambda count: None
) -> Iterator[Finding]:
    """Look at the photos and the text files of a split."""
    folder = f'WIDER_{split}/images'
    read: dict[str, list[ImageFaces]] = {}
    for piece, archive in (
        (f'wider_face_split/wider_face_{split}_bbx_gt.txt', 'wider_face_split.zip'),
        (f'retinaface_gt_v1.1/{split}/label.txt', 'retinaface_gt_v1.1.zip'),
    ):
        try:
            read[piece] = read_faces(root / piece)
        except FileNotFoundError:
            yield Finding(piece, MISSING, f'it is in {archive}')
        except ValueError as error:
            yield Finding(piece, BROKEN, str(error))
        else:
            yield Finding(piece, OK, describe_faces(read[piece]))
    if len(read) == 2:
        yield from _same_photos(read)
    if not (root / folder).is_dir():
        yield Finding(folder, MISSING, f'it is in WIDER_{split}.zip')
        return
    for images in list(read.values())[-1:]:
        yield from photo_findings(root / folder, folder, images, open_images, advance)
        if open_images:
            yield boxes_finding(root / folder, folder, images)


def check_ground_truth(root: Path) -> Finding:
    """Look at the files of the evaluation, and whether they are of the same faces."""
    piece = 'ground_truth'
    try:
        truths = read_ground_truth(root / piece)
    except FileNotFoundError as error:
        return Finding(piece, MISSING, str(error))
    except ValueError as error:
        return Finding(piece, BROKEN, str(error))
    counts = [
        f'{sum(int(t.counted[setting].sum()) for t in truths)} {setting}'
        for setting in truths[0].counted
    ]
    faces = sum(len(truth.boxes_xywh) for truth in truths)
    return Finding(piece, OK, f'{len(truths)} photos, {faces} faces: {", ".join(counts)}')


def write_labelv2(root: Path, split: str) -> Path:
    """Write the landmarks of ``label.txt`` with the sizes of the photos.

    Raises:
        InputError: a file or photo that it needs is missing or broken.
    """
    source = root / f'retinaface_gt_v1.1/{split}/label.txt'
    target = root / f'labelv2/{split}/labelv2.txt'
    try:
        images = [sized(image, root / f'WIDER_{split}/images') for image in read_faces(source)]
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f'--labelv2: {error}') from None
    target.parent.mkdir(parents=True, exist_ok=True)
    write_faces(target, images, 'labelv2')
    return target


def _same_photos(read: Mapping[str, Sequence[ImageFaces]]) -> Iterator[Finding]:
    (first, images), (second, others) = read.items()
    names, other_names = ({image.name for image in side} for side in (images, others))
    if names != other_names:
        example = sorted(names ^ other_names)[0]
        yield Finding(
            second,
            BROKEN,
            f'not the photos of {first}: {len(names - other_names)} only there, '
            f'{len(other_names - names)} only here, for example {example}',
        )
