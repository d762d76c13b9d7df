"""The images and categories of a COCO file, by id."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmext.errors import InputError
from mmext.formats.coco_values import Id, Json, canonical_id, file_name, kind_of, pixel_size

_EXPORT = "Other tools' own formats are not read: export it in the format COCO"


def check_form(content: Any, source: str, kind: str = 'COCO file') -> None:
    """Look at the outermost form of an annotation file.

    Raises:
        InputError: it is no object with lists of images, annotations and categories.
    """
    if not isinstance(content, Mapping):
        raise InputError(
            f'{source}: no {kind}, it holds {kind_of(content)}; expected an object. {_EXPORT}'
        )
    lacking = [key for key in ('images', 'categories') if key not in content]
    if lacking:
        absent = ' and no '.join(map(repr, lacking))
        raise InputError(f'{source}: no {kind}, it has no {absent}. {_EXPORT}')
    for key in ('images', 'annotations', 'categories'):
        value = content.get(key) if key in content else []
        if value is None and key == 'annotations':
            continue
        if not isinstance(value, list):
            raise InputError(f'{source}: {key!r} is {kind_of(value)}; expected a list')
        wrong = next((i for i, item in enumerate(value) if not isinstance(item, Mapping)), None)
        if wrong is not None:
            raise InputError(
                f'{source}: {key}[{wrong}] is {kind_of(value[wrong])}; expected an object'
            )
    for key in ('images', 'categories'):
        if not content[key]:
            raise InputError(f'{source}: {key!r} is empty')


def oddities(images: Mapping[Id, Json], categories: Mapping[Id, Json]) -> list[str]:
    """What is allowed and rarely meant, a sentence each: a photo or class that is there twice."""
    sentences = []
    by_file: dict[str, Id] = {}
    repeated = [
        f'{image["file_name"]}, images {by_file[image["file_name"]]} and {identity}'
        for identity, image in images.items()
        if 'file_name' in image and by_file.setdefault(image['file_name'], identity) != identity
    ]
    if repeated:
        sentences.append(
            f'{len(repeated)} images have the photo of another one (first: {repeated[0]})'
        )
    by_name: dict[str, str] = {}
    for category in categories.values():
        folded = ' '.join(category['name'].casefold().split())
        other = by_name.setdefault(folded, category['name'])
        if other != category['name']:
            sentences.append(
                f'classes {other!r} and {category["name"]!r} have nearly the same name'
            )
    return sentences


def image_table(
    written: Sequence[Mapping[str, Any]], source: str, with_names: bool = True
) -> dict[Id, Json]:
    """The images by id, with ``file_name`` as text and ``width`` and ``height`` as whole numbers.

    Raises:
        InputError: one has no name or size, or two have the same id.
    """
    images: dict[Id, Json] = {}
    for number, raw in enumerate(written, start=1):
        where = f'image {raw.get("id", f"number {number}")}'
        image = dict(raw, id=canonical_id(raw.get('id'), f'{source}: id of {where}'))
        if with_names:
            image['file_name'] = file_name(raw.get('file_name'), f'{source}: file_name of {where}')
        for side in ('width', 'height'):
            image[side] = pixel_size(raw.get(side), f'{source}: {side} of {where}')
        if image['id'] in images:
            raise InputError(
                f'{source}: image id {image["id"]} is used twice, by '
                f'{images[image["id"]].get("file_name")} and {image.get("file_name")}'
            )
        images[image['id']] = image
    return images


def category_table_of(written: Sequence[Mapping[str, Any]], source: str) -> dict[Id, Json]:
    """The categories by id.

    Raises:
        InputError: one has no name, or two have the same id or name.
    """
    categories: dict[Id, Json] = {}
    names: dict[str, Id] = {}
    for number, raw in enumerate(written, start=1):
        if not isinstance(raw, Mapping):
            raise InputError(f'{source}: category number {number} is {raw!r}; expected an object')
        where = f'category {raw.get("id", f"number {number}")}'
        identity = canonical_id(raw.get('id'), f'{source}: id of {where}')
        name = raw.get('name')
        if isinstance(name, int | float) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            raise InputError(f'{source}: name of {where} is {name!r}; expected text')
        if identity in categories:
            raise InputError(f'{source}: category id {identity} is used twice')
        if name in names:
            raise InputError(
                f'{source}: categories {names[name]} and {identity} are both named {name!r}; '
                'give each class one category'
            )
        names[name] = identity
        categories[identity] = dict(raw, id=identity, name=name)
    return categories
