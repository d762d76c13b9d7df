"""CVAT for images 1.1: one XML file, with boxes, polygons, masks and points in pixels.

Skeletons are objects with key points: their box is that of their group's box, or that around
their points. Points of a group belong to its box or outline; other single points to the only
object around them; several points in one shape are an object, its points named 1, 2, 3, ...
"""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

from mmext.errors import InputError
from mmext.formats.exports.key_points import LoosePoint, attach, box_around
from mmext.formats.exports.labeled import (
    Export,
    LabeledObject,
    LabeledPhoto,
    LabeledPoint,
    PointTable,
    find_photo,
    shown_size,
)
from mmext.formats.exports.pixel_masks import mask_of_rows, placed

_EDGE = re.compile(r'<line\b[^>]*>')
_NODE = re.compile(r'<circle\b[^>]*>')


def read(source: Path, split: str, photos: Path | None = None) -> Export:
    """Read the file.

    Args:
        source: ``annotations.xml``, or the folder that it is in.
        split: takes the photos of the subset of this name, where the file names subsets.
        photos: folder of the photos; None: ``images`` beside the file, or its folder.

    Raises:
        InputError: the file is missing or wrong, or of a video.
    """
    file = source / 'annotations.xml' if source.is_dir() else source
    folders = [photos] if photos else [file.parent / 'images', file.parent]
    export, elements = Export(), []
    for element in _elements(file):
        if element.tag == 'labels':
            export.points |= _tables(element)
        else:
            elements.append(element)
    subsets = {element.get('subset') for element in elements} - {None}
    if len(subsets) > 1 and any(_same(subset, split) for subset in subsets):
        elements = [each for each in elements if _same(each.get('subset'), split)]
    for element in elements:
        path = find_photo(element.get('name') or '', *folders)
        if path is None:
            export.leave_out('images of the file without a photo')
            continue
        size = shown_size(path)
        shapes = _Shapes(file, size, export)
        for each in element:
            shapes.add(each)
        export.photos.append(LabeledPhoto(path, size, shapes.finish()))
    return export


def _elements(file: Path) -> Iterator[Element]:
    """The table of labels, if there is one, and the images."""
    try:
        for _, element in iterparse(file):
            if element.tag == 'track':
                raise InputError(
                    f'{file}: tracks of a video; export it as "CVAT for images 1.1" with its frames'
                )
            if element.tag in ('labels', 'image'):
                yield element
    except (OSError, ParseError) as error:
        raise InputError(f'{file}: no XML file of CVAT ({error})') from error


def _same(subset: str | None, split: str) -> bool:
    name = (subset or '').lower()
    return name == split or (split == 'val' and name in ('valid', 'validation'))


def _tables(labels: Element) -> dict[str, PointTable]:
    """The key points of each skeleton, and the lines of its drawing."""
    names: dict[str, list[str]] = {}
    for label in labels.iter('label'):
        if parent := label.findtext('parent'):
            names.setdefault(parent, []).append(label.findtext('name') or '')
    drawings = {label.findtext('name'): label.findtext('svg') or '' for label in labels}
    return {
        name: PointTable(tuple(points), _edges(unescape(drawings.get(name, '')), points))
        for name, points in names.items()
    }


def _edges(drawing: str, points: list[str]) -> tuple[tuple[str, str], ...]:
    """The pairs of names that an SVG's lines join; its circles name the nodes."""
    nodes = {}
    for circle in _NODE.findall(drawing):
        nodes[_attribute(circle, 'data-node-id')] = _attribute(circle, 'data-label-name')
    pairs = [
        tuple(nodes.get(_attribute(line, f'data-node-{end}'), '') for end in ('from', 'to'))
        for line in _EDGE.findall(drawing)
    ]
    return tuple((first, second) for first, second in pairs if {first, second} <= {*points})


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ''


@dataclass
class _Shapes:
    """What is labeled in one photo, as it is read.

    Attributes:
        file: named in errors.
        size_wh: of the photo, px.
        export: counts what is left out.
    """

    file: Path
    size_wh: tuple[int, int]
    export: Export
    objects: list[LabeledObject] = field(default_factory=list)
    skeletons: list[tuple[str | None, LabeledObject]] = field(default_factory=list)
    groups: dict[Hashable, LabeledObject] = field(default_factory=dict)
    loose: list[LoosePoint] = field(default_factory=list)

    def add(self, element: Element) -> None:
        """Take a shape in.

        Raises:
            InputError: its numbers are none.
        """
        name, group = element.get('label') or '', element.get('group_id')
        group = None if group in (None, '', '0') else group
        try:
            if element.tag == 'skeleton':
                self.skeletons.append((group, _skeleton(element, name)))
            elif element.tag == 'points':
                self._add_points(element, name, group)
            elif (found := _object(element, name, self.size_wh)) is not None:
                self.objects.append(found)
                if group is not None:
                    self.groups.setdefault(group, found)
            elif name:
                self.export.leave_out(f'shapes of the kind {element.tag}')
        except ValueError as error:
            raise InputError(
                f'{self.file}: a {element.tag} of {name!r}: expected numbers ({error})'
            ) from None

    def _add_points(self, element: Element, name: str, group: str | None) -> None:
        corners = _numbers(element.get('points'))
        places = [LabeledPoint(*xy) for xy in zip(corners[0::2], corners[1::2], strict=True)]
        if len(places) == 1:
            self.loose.append(LoosePoint(name, places[0], group))
            return
        points = {str(number): place for number, place in enumerate(places, start=1)}
        self.skeletons.append((group, LabeledObject(name, box_around(places), points=points)))

    def finish(self) -> list[LabeledObject]:
        """The objects, when all shapes are there: skeletons and points join their groups."""
        for group, skeleton in self.skeletons:
            owner = self.groups.get(group) if group is not None else None
            if owner is not None and owner.name == skeleton.name and not owner.points:
                owner.points = skeleton.points
            else:
                self.objects.append(skeleton)
        attach(self.loose, self.objects, self.groups, self.export)
        return self.objects


def _skeleton(element: Element, name: str) -> LabeledObject:
    points = {}
    for each in element.iter('points'):
        x, y = _numbers(each.get('points'))
        seen = 0 if each.get('outside') == '1' else 1 if each.get('occluded') == '1' else 2
        points[each.get('label') or ''] = LabeledPoint(x, y, seen)
    return LabeledObject(name, box_around(points.values()), points=points)


def _object(element: Element, name: str, size_wh: tuple[int, int]) -> LabeledObject | None:
    if element.tag == 'box' and float(element.get('rotation') or 0) == 0:
        left, top, right, bottom = (
            float(element.get(key) or '') for key in ('xtl', 'ytl', 'xbr', 'ybr')
        )
        return LabeledObject(name, (left, top, right - left, bottom - top))
    if element.tag == 'polygon':
        return LabeledObject.of_polygon(name, _numbers(element.get('points')))
    if element.tag == 'mask':
        left, top, width, height = (
            int(float(element.get(key) or '')) for key in ('left', 'top', 'width', 'height')
        )
        if width > size_wh[0] or height > size_wh[1]:
            raise ValueError(f'{width} x {height} px is larger than its photo')
        runs = [int(count) for count in (element.get('rle') or '').split(',')]
        return LabeledObject.of_mask(
            name, placed(mask_of_rows(runs, (width, height)), (left, top), size_wh)
        )
    return None


def _numbers(points: str | None) -> list[float]:
    """``x,y;x,y`` as a list; ValueError for anything else."""
    values = [float(value) for value in (points or '').replace(';', ',').split(',')]
    if len(values) % 2:
        raise ValueError('an x without its y')
    return values
