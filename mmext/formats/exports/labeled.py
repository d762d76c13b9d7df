"""A photo with its labeled objects, in one form whatever tool wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from mmext.errors import InputError
from mmext.formats.exports.pixel_masks import RunLengths
from mmext.formats.misnamed_files import meant_file
from mmext.formats.picture_files import IMAGE_SUFFIXES, TURNED, picture_head


class LabeledPoint(NamedTuple):
    """A key point.

    Attributes:
        x: px of the photo.
        y: px of the photo.
        visibility: COCO's: 2 is seen, 1 hidden but labeled, 0 not labeled.
    """

    x: float
    y: float
    visibility: int = 2


@dataclass
class PointTable:
    """The key points of a class.

    Attributes:
        names: in their order.
        edges: pairs of names that are drawn as a line.
        mirrored: pairs of names that change places in a mirror; None where it is not known.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...] = ()
    mirrored: tuple[tuple[str, str], ...] | None = None


@dataclass
class LabeledObject:
    """One object.

    Attributes:
        name: of its class.
        box_xywh: left, top, width, height in px of the photo.
        polygons: its outline, each ``x, y, x, y, ...`` in px; none for a box alone.
        ignored: it is neither to be learned nor to be counted (VOC's "difficult").
        masks: its pixels as COCO's run-length codes of the whole photo, all parts of it.
        points: its key points by name.
    """

    name: str
    box_xywh: tuple[float, float, float, float]
    polygons: list[list[float]] = field(default_factory=list)
    ignored: bool = False
    masks: list[RunLengths] = field(default_factory=list)
    points: dict[str, LabeledPoint] = field(default_factory=dict)

    @classmethod
    def of_polygon(cls, name: str, corners: Sequence[float]) -> 'LabeledObject':
        """An object by its outline ``x, y, x, y, ...``, px."""
        xs, ys = corners[0::2], corners[1::2]
        box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
        return cls(name, box, [list(corners)])

    @classmethod
    def of_mask(
        cls, name: str, mask: tuple[RunLengths, tuple[float, float, float, float]] | None
    ) -> 'LabeledObject':
        """An object by its pixels and the box around them; None stands for no pixel at all."""
        if mask is None:
            return cls(name, (0.0, 0.0, 0.0, 0.0))
        return cls(name, mask[1], masks=[mask[0]])

    def add(self, other: 'LabeledObject') -> None:
        """Take another part of the same object in."""
        boxes = (self.box_xywh, other.box_xywh)
        left, top = (min(box[i] for box in boxes) for i in (0, 1))
        right, bottom = (max(box[i] + box[i + 2] for box in boxes) for i in (0, 1))
        self.box_xywh = (left, top, right - left, bottom - top)
        self.polygons += other.polygons
        self.masks += other.masks
        self.points |= other.points


@dataclass
class LabeledPhoto:
    """A photo that is there, and its objects.

    Attributes:
        path: of the photo.
        size_wh: as it is shown, px: its EXIF orientation is applied.
        objects: what is labeled in it; none is an answer too.
    """

    path: Path
    size_wh: tuple[int, int]
    objects: list[LabeledObject] = field(default_factory=list)


@dataclass
class Export:
    """What an export holds.

    Attributes:
        photos: in the order of the export.
        classes: in the order of the export; None where it has no table of them.
        left_out: what COCO instances cannot hold, or what had no photo, counted by a phrase.
        points: the key points of a class by its name, where the export has a table of them.
    """

    photos: list[LabeledPhoto] = field(default_factory=list)
    classes: tuple[str, ...] | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    points: dict[str, PointTable] = field(default_factory=dict)

    def leave_out(self, what: str) -> None:
        """Count something that is not taken over."""
        self.left_out[what] = self.left_out.get(what, 0) + 1


def shown_size(path: Path) -> tuple[int, int]:
    """Width and height of a photo as it is shown, px; only its header is read.

    Raises:
        InputError: it is no image.
    """
    head = picture_head(path)
    if head is None:
        raise InputError(f'{path}: cannot be read as an image')
    (width, height), orientation = head
    return (height, width) if orientation in TURNED else (width, height)


def find_photo(name: str, *folders: Path) -> Path | None:
    """The photo that an export names.

    Args:
        name: as written there: with folders of another machine, backslashes, percent signs.
        folders: where it may be, the likeliest first.
    """
    relative = PurePosixPath(unquote(name.partition('?d=')[2] or name).replace('\\', '/'))
    for folder in folders:
        for tried in (relative, relative.name):
            path = folder / str(tried).lstrip('/')
            if path.is_file():
                return path
            if (found := meant_file(str(path), str(folder))) is not None:
                return Path(found)
    return None


def photos_in(folder: Path) -> list[Path]:
    """The photos below a folder, by name."""
    files = sorted(path for path in folder.rglob('*') if path.suffix.lower() in IMAGE_SUFFIXES)
    return [path for path in files if path.is_file()]


def only_file(source: Path, kind: str, *patterns: str) -> Path:
    """The file of an export: the source itself, or the only such file in it.

    Args:
        source: a file or a folder.
        kind: names what is looked for.
        patterns: of its name, as ``*.json``.

    Raises:
        InputError: the folder has none, or several.
    """
    if not source.is_dir():
        return source
    found = sorted(path for pattern in patterns for path in source.glob(pattern))
    if len(found) != 1:
        names = [path.name for path in found]
        raise InputError(f'{source}: expected one {kind}, found {names[:8]}: name the file')
    return found[0]
