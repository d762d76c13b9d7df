"""YouTube-VIS: tracks of videos as the objects of single frames.

Yang et al., "Video Instance Segmentation", ICCV 2019. The file has ``videos`` (``id``, ``width``,
``height``, ``file_names`` of the annotated frames, usually every fifth) and ``annotations``, one
for each object, whose ``bboxes`` and ``segmentations`` have an entry for each frame, ``null`` where
it is not seen.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from mmext.errors import InputError

Json = dict[str, Any]
OtherFrames = Callable[[str], Iterable[str]]
_LISTS = ('bboxes', 'segmentations', 'areas')


def frames_as_coco(content: Any, source: str, other_frames: OtherFrames | None = None) -> Json:
    """The file's content as that of a COCO instances file.

    Args:
        content: what the JSON holds; unchanged.
        source: its name, for errors.
        other_frames: all frames of a video by the folder that its ``file_names`` are in, as file
            names in the same form; those that the file does not list come without annotations.

    Returns:
        ``images``: video by video in the order of time, ids from 1, with ``video_id``,
        ``frame_id`` (the number in the file name, or the place where names have none or do not
        rise), ``video_length`` and ``is_annotated``; ``annotations``; ``categories``.

    Raises:
        InputError: it is no such file, or the lists of an object do not fit its video.
    """
    if not isinstance(content, Mapping) or not {'videos', 'categories'} <= content.keys():
        raise InputError(
            f'{source}: expected a YouTube-VIS file with videos, annotations and categories'
        )
    images: list[Json] = []
    image_of: dict[tuple[Any, int], Json] = {}
    lengths: dict[Any, int] = {}
    for video in content['videos']:
        names = _names(video, source)
        lengths[video['id']] = len(names)
        for image in _frames(video, names, other_frames):
            image['id'] = len(images) + 1
            images.append(image)
            if (place := image.pop('place')) is not None:
                image_of[video['id'], place] = image
    annotations = [
        annotation
        for track in content.get('annotations') or []
        for annotation in _objects(track, image_of, lengths, source)
    ]
    for number, annotation in enumerate(annotations, 1):
        annotation['id'] = number
    return dict(images=images, annotations=annotations, categories=content['categories'])


def _names(video: Any, source: str) -> list[str]:
    names = video.get('file_names') if isinstance(video, Mapping) else None
    if not isinstance(names, list) or not names or 'id' not in video:
        raise InputError(f'{source}: a video needs id and file_names, got {str(video)[:80]}')
    if any('\\' in name for name in names):
        names = [name.replace('\\', '/') for name in names]
    return names


def _frames(video: Json, names: list[str], other_frames: OtherFrames | None) -> list[Json]:
    """The frames of a video; ``place`` is that in its lists, or None."""
    places: dict[str, int | None] = {name: place for place, name in enumerate(names)}
    if other_frames is not None:
        for name in other_frames(PurePosixPath(names[0]).parent.as_posix()):
            places.setdefault(name, None)
        places = dict(sorted(places.items(), key=lambda item: _order(item[0])))
    numbers = frame_numbers(list(places))
    return [
        dict(
            file_name=name,
            width=video.get('width'),
            height=video.get('height'),
            video_id=video['id'],
            frame_id=number,
            video_length=len(places),
            is_annotated=place is not None,
            place=place,
        )
        for (name, place), number in zip(places.items(), numbers, strict=True)
    ]


def frame_numbers(names: Sequence[str]) -> list[int]:
    """Numbers of frames by their file names, or 0, 1, ... where those do not say.

    >>> frame_numbers(['a/00000.jpg', 'a/00005.jpg']), frame_numbers(['a/x.jpg', 'a/y.jpg'])
    ([0, 5], [0, 1])
    """
    numbers = [_order(name)[0] for name in names]
    rising = all(a < b for a, b in pairwise(numbers))
    return numbers if rising and numbers[0] >= 0 else list(range(len(names)))


def _order(name: str) -> tuple[int, str]:
    """Sorts file names by the last number in them; -1 is none."""
    digits = re.findall(r'\d+', PurePosixPath(name).stem)
    return (int(digits[-1]) if digits else -1, name)


def _objects(
    track: Any, image_of: Mapping[tuple[Any, int], Json], lengths: Mapping[Any, int], source: str
) -> Iterable[Json]:
    """What is seen of an object, frame by frame."""
    video_id = track.get('video_id')
    if video_id not in lengths:
        raise InputError(f'{source}: annotation {track.get("id")}: no video {video_id!r}')
    for name in _LISTS[:2]:
        if len(track.get(name) or ()) != lengths[video_id]:
            raise InputError(
                f'{source}: annotation {track.get("id")}: {name} has {len(track.get(name) or ())} '
                f'entries, video {video_id!r} {lengths[video_id]} frames'
            )
    areas = track.get('areas') or [None] * lengths[video_id]
    lists = zip(track['bboxes'], track['segmentations'], areas, strict=True)
    for place, (box, mask, area) in enumerate(lists):
        if box is None or mask is None:
            continue
        annotation = dict(
            image_id=image_of[video_id, place]['id'],
            category_id=track.get('category_id'),
            bbox=box,
            segmentation=mask,
            iscrowd=track.get('iscrowd', 0),
            instance_id=track.get('id'),
        )
        yield annotation if area is None else dict(annotation, area=area)
