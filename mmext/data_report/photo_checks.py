"""Problems that only a look at the photos and panoptic PNGs of a data set shows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import mmcv
from mmengine import fileio

from mmext.data_report.built_sets import Part
from mmext.data_report.photo_files import PhotoFacts, equal_photos, look_at_photos
from mmext.data_report.problems import Problem, Weight
from mmext.data_report.samples import image_loader
from mmext.formats.box_agreement import Box
from mmext.formats.coco_values import some
from mmext.formats.json_files import parse_json
from mmext.formats.misnamed_files import missing_photo
from mmext.formats.panoptic_agreement import MapComparison, compare_map
from mmext.formats.panoptic_records import panoptic_records
from mmext.pipelines.data_look import photo_folder

Advance = Callable[[int], None]


@dataclass
class MapFacts:
    """What the panoptic PNGs of a data set say.

    Attributes:
        compared: PNGs.
        problems: one sentence for each PNG that does not agree with the JSON.
        places: of the image of each of ``pairs``.
        pairs: box of each thing, and the window of its pixels.
        pixels: by label.
        void: pixels without a segment.
    """

    compared: int = 0
    problems: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    pairs: list[tuple[Box, Box]] = field(default_factory=list)
    pixels: dict[int, int] = field(default_factory=dict)
    void: int = 0


def photo_paths(parts: Sequence[Part]) -> dict[str, Part]:
    """Each photo once, with a data set that loads it."""
    found: dict[str, Part] = {}
    for part in parts:
        for info in part.infos:
            if isinstance(info.get('img_path'), str):
                found.setdefault(info['img_path'], part)
    return found


def look_at_all_photos(
    parts: Sequence[Part], threads: int, advance: Advance
) -> dict[str, PhotoFacts]:
    """Look at the photos of all data sets, each once, as their pipelines load them."""
    facts: dict[str, PhotoFacts] = {}
    by_part: dict[int, tuple[Part, list[str]]] = {}
    for path, part in photo_paths(parts).items():
        by_part.setdefault(id(part), (part, []))[1].append(path)
    for part, paths in by_part.values():
        loader = image_loader(part.dataset)
        read = partial(fileio.get, backend_args=getattr(loader, 'backend_args', None))
        decode = partial(
            mmcv.imfrombytes,
            flag=getattr(loader, 'color_type', 'color'),
            backend=getattr(loader, 'imdecode_backend', 'cv2'),
        )
        facts |= look_at_photos(paths, read, decode, threads, advance)
    return facts


def photo_problems(part: Part, facts: Mapping[str, PhotoFacts]) -> Iterator[Problem]:
    """What is wrong with the photos of a data set."""
    own = [facts[info['img_path']] for info in part.infos if info.get('img_path') in facts]
    for state in ('missing', 'unreadable'):
        paths = [photo.path for photo in own if photo.state == state]
        if paths:
            remedy = 'empty, damaged or no picture: mend or remove them'
            if state == 'missing':
                remedy = missing_photo(paths[0], photo_folder(part.dataset))
            text = f'{len(paths)} of {len(own)} photos are {state} ({some(paths)}); {remedy}'
            yield Problem(Weight.STOPS, part.name, text)
    sizes = [text for text in _size_problems(part, facts) if text]
    if sizes:
        text = f'{len(sizes)} photos are of another size than annotated (first: {sizes[0]})'
        yield Problem(Weight.STOPS, part.name, text)
    cut = [photo.path for photo in own if photo.is_cut]
    if cut:
        text = f'{len(cut)} photos are cut off, what is missing is loaded as grey ({some(cut)})'
        yield Problem(Weight.LOOK, part.name, text)


def twin_problems(parts: Sequence[Part], facts: Mapping[str, PhotoFacts]) -> Iterator[Problem]:
    """Photos that are there twice in a data set, and those that two of them share."""
    photos_of = {
        part.name: [facts[path] for path in photo_paths([part]) if path in facts] for part in parts
    }
    twins: dict[str, list[str]] = {}
    leaks: dict[str, list[str]] = {}
    for group in equal_photos(photos_of):
        names = list(dict.fromkeys(name for name, _ in group))
        same = 'file' if len({photo.file_digest for _, photo in group}) == 1 else 'pixels'
        if len(names) > 1:
            first = [next(photo.path for n, photo in group if n == name) for name in names]
            leaks.setdefault(' and '.join(names), []).append(f'{" = ".join(first)}, same {same}')
        for name in names:
            paths = [photo.path for n, photo in group if n == name]
            if len(paths) > 1:
                twins.setdefault(name, []).append(f'{" = ".join(paths[:3])}, same {same}')
    for where, texts in leaks.items():
        text = f'{len(texts)} photos are in both: results will look too good (first: {texts[0]})'
        yield Problem(Weight.LOOK, where, text)
    for where, texts in twins.items():
        text = f'{len(texts)} photos are there more than once (first: {texts[0]})'
        yield Problem(Weight.LOOK, where, text)


def map_paths(part: Part) -> list[int]:
    """Places of the images that have a panoptic PNG; of data sets that read COCO's files."""
    if not hasattr(part.dataset, 'cat2label'):
        return []
    return [
        index
        for index, info in enumerate(part.infos)
        if info.get('seg_map_path') and info.get('segments_info')
    ]


def compare_maps(part: Part, threads: int, advance: Advance) -> MapFacts:
    """Compare the panoptic PNGs of a data set with its JSON, pixel by pixel."""
    source = part.dataset.ann_file
    read = partial(fileio.get, backend_args=getattr(part.dataset, 'backend_args', None))
    records = panoptic_records(parse_json(read(source), source), source)
    label_of = part.dataset.cat2label
    things = {i for i, category in records.categories.items() if category['isthing']}

    def compare(index: int) -> tuple[int, MapComparison, dict[int, int]]:
        info = part.infos[index]
        annotation = records.annotations.get(info['img_id'])
        if annotation is None:
            return index, MapComparison([f'{info["seg_map_path"]} is of no annotation']), {}
        segments = annotation['segments_info']
        try:
            data = read(info['seg_map_path'])
        except OSError:
            return index, MapComparison([f'{info["seg_map_path"]} is not there']), {}
        size = info['width'], info['height']
        found = compare_map(data, info['seg_map_path'], segments, size, things)
        return index, found, {s['id']: label_of[s['category_id']] for s in segments}

    facts = MapFacts()
    with ThreadPoolExecutor(threads) as pool:
        for index, found, labels in pool.map(compare, map_paths(part)):
            facts.compared += 1
            facts.problems += found.problems
            facts.void += found.void
            facts.pairs += found.pairs
            facts.places += [index] * len(found.pairs)
            for segment, pixels in found.pixels.items():
                label = labels[segment]
                facts.pixels[label] = facts.pixels.get(label, 0) + pixels
            advance(1)
    return facts


def map_problems(part: Part, facts: MapFacts) -> Iterator[Problem]:
    """What is wrong with the panoptic PNGs of a data set."""
    if facts.problems:
        areas = [text for text in facts.problems if text.endswith(' differ')]
        for weight, texts in (
            (Weight.STOPS, [text for text in facts.problems if text not in areas]),
            (Weight.LOOK, areas),
        ):
            if texts:
                text = f'{len(texts)} of {facts.compared} PNGs do not fit the JSON (first: '
                yield Problem(weight, part.name, f'{text}{texts[0]})')


def _size_problems(part: Part, facts: Mapping[str, PhotoFacts]) -> Iterator[str | None]:
    for info in part.infos:
        photo = facts.get(info.get('img_path', ''))
        if photo is not None and info.get('width') and info.get('height'):
            yield photo.size_problem(info['width'], info['height'])
