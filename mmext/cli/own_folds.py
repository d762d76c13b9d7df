"""One COCO file as k pairs of files, to train on and to validate on."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmext.errors import InputError
from mmext.formats.coco_tables import check_form
from mmext.formats.folds import folds_of, groups_of
from mmext.formats.json_files import parse_json


class Fold(NamedTuple):
    """The files of a fold.

    Attributes:
        train: to learn from.
        val: held out.
        images: in each of the two.
        missing: names of the classes that the held-out one has no object of.
    """

    train: Path
    val: Path
    images: tuple[int, int]
    missing: list[str]


def write_folds(file: Path, count: int, by: str | None, seed: int) -> list[Fold]:
    """Write ``NAME_fold1_train.json`` and ``NAME_fold1_val.json`` beside a file, and so on.

    Args:
        file: COCO instances, key points or panoptic.
        count: of folds.
        by: what keeps images together, see :func:`.folds.group_of`.
        seed: of the draw.

    Raises:
        InputError: it is no COCO file, or has too few groups.
    """
    content = parse_json(file.read_bytes(), str(file))
    check_form(content, str(file))
    names = {category['id']: str(category.get('name')) for category in content['categories']}
    of_image: dict[Any, list[Mapping[str, Any]]] = {i['id']: [] for i in content['images']}
    for annotation in content.get('annotations') or ():
        if annotation.get('image_id') in of_image:
            of_image[annotation['image_id']].append(annotation)
    contents = [Counter(_categories(of_image[image['id']])) for image in content['images']]
    groups = groups_of([str(image.get('file_name')) for image in content['images']], by)
    folds = folds_of(groups, contents, count, seed)
    written = []
    for fold in range(count):
        sizes, files, seen = [], [], Counter[Any]()
        for part in ('train', 'val'):
            kept = [
                index for index, other in enumerate(folds) if (other == fold) == (part == 'val')
            ]
            images = [content['images'][index] for index in kept]
            annotations = [each for image in images for each in of_image[image['id']]]
            path = file.with_stem(f'{file.stem}_fold{fold + 1}_{part}')
            path.write_text(json.dumps({**content, 'images': images, 'annotations': annotations}))
            sizes.append(len(images))
            files.append(path)
            seen = sum((contents[index] for index in kept), Counter())  # of val, at the end
        missing = [name for identity, name in names.items() if not seen[identity]]
        written.append(Fold(files[0], files[1], (sizes[0], sizes[1]), missing))
    return written


def _categories(annotations: list[Mapping[str, Any]]) -> Iterator[Any]:
    """The category of each object, or of each segment."""
    for annotation in annotations:
        for part in annotation.get('segments_info', [annotation]):
            if not isinstance(part, Mapping) or 'category_id' not in part:
                raise InputError(f'annotation {annotation.get("id")}: expected a category_id')
            yield part['category_id']
