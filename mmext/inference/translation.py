"""Folders, videos and the maps of a data set, translated; annotations go along.

Files keep their names, so that an annotation file fits both folders and the host's
``ConcatDataset`` joins them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from mmengine.config import Config

from mmext.errors import InputError
from mmext.formats.json_files import read_json
from mmext.inference.media import PictureWriter, Source, write_picture
from mmext.inference.output_places import writing
from mmext.translation.label_safety import Found, LabelSafety

Picture = npt.NDArray[np.uint8]
Translate = Callable[[Picture], Picture]
Detect = Callable[[Picture], Found]


def translating(model: Any, device: str) -> Translate:
    """From picture to picture, BGR ``[H, W, 3]``, by a translator."""
    from mmext.translation.preprocessor import to_picture, to_signed

    model = model.to(device).eval()

    def translate(picture: Picture) -> Picture:
        with torch.inference_mode():
            source = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
            made = model.translate(to_signed(source[None].to(device)))[0]
            return np.ascontiguousarray(to_picture(made).cpu().numpy().transpose(1, 2, 0))

    return translate


def translate_source(source: Source, out: Path, translate: Translate) -> tuple[int, int]:
    """Translate what a source shows; pictures that are there already are left.

    Args:
        source: images, or a video, which becomes one.
        out: folder.
        translate: of :func:`translating`.

    Returns:
        Numbers of pictures made, and of those that were there.

    Raises:
        InputError: a picture cannot be written.
    """
    made = there = 0
    writer = PictureWriter(out, source) if source.fps is not None else None
    for frame in source:
        if writer is not None:
            rgb = cv2.cvtColor(translate(frame.image), cv2.COLOR_BGR2RGB)
            writer.write(frame.name, np.asarray(rgb, np.uint8))
        else:
            place = out / frame.name
            if place.is_file():
                there += 1
                continue
            _write_whole(place, translate(frame.image))
        made += 1
    if writer is not None:
        writer.close()
    return made, there


def translate_maps(config: Config, split: str, model: Any, out: Path, device: str) -> int:
    """Make the photos of a data set's label maps, under the names of its photos.

    Args:
        config: with ``{split}_dataloader``, whose pipeline ends in ``mmext.PackTranslation``.
        split: ``train``, ``val`` or ``test``.
        model: a translator of label maps.
        out: folder.
        device: where it computes.

    Returns:
        The number of pictures made.
    """
    from mmdet.registry import DATASETS
    from mmengine.dataset import pseudo_collate

    dataset = DATASETS.build(config[f'{split}_dataloader'].dataset)
    model = model.to(device).eval()
    made = 0
    for index in range(len(dataset)):
        sample = dataset[index]
        place = out / Path(sample['data_samples'].img_path).name
        if place.is_file():
            continue
        with torch.inference_mode():
            (translated,) = model.test_step(pseudo_collate([sample]))
        picture = translated.translated.cpu().numpy().transpose(1, 2, 0)
        _write_whole(place, np.ascontiguousarray(picture))
        made += 1
    return made


def _write_whole(place: Path, picture: Picture) -> None:
    """A file is there as a whole or not at all."""
    unfinished = place.with_name(f'.{place.stem}.unfinished{place.suffix}')
    write_picture(unfinished, picture)
    with writing(place):
        unfinished.replace(place)


def detecting(predictor: Any, min_score: float) -> Detect:
    """What a predictor finds in a picture, BGR, above a score."""

    def detect(picture: Picture) -> Found:
        (sample,) = predictor([picture])
        found = sample.pred_instances
        found = found[found.scores >= min_score].cpu().numpy()
        return Found(np.asarray(found.bboxes, float).reshape(-1, 4), np.asarray(found.labels))

    return detect


def checked_annotations(
    annotations: Mapping[str, Any],
    classes: Sequence[str],
    folders: tuple[Path, Path],
    detect: Detect,
) -> tuple[dict[str, Any], LabelSafety]:
    """Annotations without the objects that vanished from the translations.

    Args:
        annotations: COCO's, in memory.
        classes: of the detector, by their names.
        folders: of the originals and of the translations.
        detect: of :func:`detecting`.

    Returns:
        The annotations that can be trusted, and the counts.

    Raises:
        InputError: no class of the file is one of the detector's.
    """
    label_of = {c['id']: classes.index(c['name']) for c in annotations['categories']
                if c['name'] in classes}  # fmt: skip
    if not label_of:
        raise InputError(
            'the annotations and the detector that checks have no class in common: '
            f'{", ".join(str(c["name"]) for c in annotations["categories"][:3])} against '
            f'{", ".join(classes[:3])}'
        )
    safety = LabelSafety(len(classes))
    of_image: dict[Any, list[dict[str, Any]]] = {}
    for annotation in annotations['annotations']:
        if annotation['category_id'] in label_of and not annotation.get('iscrowd'):
            of_image.setdefault(annotation['image_id'], []).append(annotation)
    unsafe: set[Any] = set()
    for image, before, after in _pairs(annotations['images'], folders):
        own = of_image.get(image['id'], [])
        boxes = np.array([a['bbox'] for a in own], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([label_of[a['category_id']] for a in own], int)
        vanished = safety.add(boxes, labels, detect(before), detect(after))
        unsafe |= {a['id'] for a, gone in zip(own, vanished, strict=True) if gone}
    kept = [a for a in annotations['annotations'] if a['id'] not in unsafe]
    return {**annotations, 'annotations': kept}, safety


def _pairs(
    images: Sequence[Mapping[str, Any]], folders: tuple[Path, Path]
) -> Iterator[tuple[Mapping[str, Any], Picture, Picture]]:
    """Pictures that are in both folders."""
    for image in images:
        files = [folder / image['file_name'] for folder in folders]
        pair = [cv2.imread(str(file)) if file.is_file() else None for file in files]
        if pair[0] is not None and pair[1] is not None:
            yield image, np.asarray(pair[0], np.uint8), np.asarray(pair[1], np.uint8)


def copy_annotations(source: Path, out: Path, content: Mapping[str, Any] | None = None) -> Path:
    """The annotation file beside the translations: as it is, or with other content.

    Returns:
        Its place, ``out/annotations/NAME``.
    """
    place = out / 'annotations' / source.name
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(read_json(source) if content is None else content), 'utf-8')
    return place
