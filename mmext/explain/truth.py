"""What is really in a picture: of a COCO file, or of a data set of the config.

Shape legend: T truths, ``h x w`` picture.
"""

import hashlib
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.registry import init_default_scope

from mmext.data_report.samples import drawable, loading_alone
from mmext.errors import InputError, MissingFileError
from mmext.formats.coco_records import CocoRecords, coco_records
from mmext.formats.json_files import parse_json
from mmext.pipelines.data_check_hook import parts_of
from mmext.registry import DATASETS


@dataclass(frozen=True)
class Truth:
    """The objects of a picture.

    Attributes:
        boxes_xyxy: ``[T, 4]`` px.
        labels: ``[T]`` of the detector's classes.
        ignored: ``[T]``, crowds and the like.
        masks: ``[T, h, w]``, or None.
    """

    boxes_xyxy: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    ignored: npt.NDArray[np.bool_]
    masks: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class TruePicture:
    """A picture of a data set.

    Attributes:
        number: in the data set.
        name: its file.
        image: BGR ``[h, w, 3]``.
        truth: what is in it.
    """

    number: int
    name: str
    image: npt.NDArray[np.uint8]
    truth: Truth


class TruthFile:
    """A COCO instances file.

    Args:
        path: of the file.
        classes: of the detector; categories of other names are left out.

    Raises:
        InputError: there is no such file, it is no COCO file, or it shares no class.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        if not path.is_file():
            raise MissingFileError(f'--truth: no file {path.absolute()}')
        self.path = path
        records: CocoRecords = coco_records(parse_json(path.read_bytes(), str(path)), str(path))
        names = {i: str(c.get('name', '')) for i, c in records.categories.items()}
        labels = {i: classes.index(name) for i, name in names.items() if name in classes}
        if not labels:
            raise InputError(
                f'--truth {path}: none of its categories ({", ".join(names.values())}) is a class '
                f'of the detector ({", ".join(classes)})'
            )
        self._of_image: dict[Any, list[tuple[list[float], int, bool]]] = {}
        for annotation in records.annotations:
            if annotation['id'] in records.unusable or annotation['category_id'] not in labels:
                continue
            x, y, w, h = annotation['bbox']
            entry = [x, y, x + w, y + h], labels[annotation['category_id']]
            self._of_image.setdefault(annotation['image_id'], []).append(
                (*entry, bool(annotation['iscrowd']))
            )
        self._by_name: dict[str, list[Any]] = {}
        for image_id, image in records.images.items():
            name = PurePosixPath(image['file_name']).name
            self._by_name.setdefault(name, []).append(image_id)

    def of(self, name: str) -> Truth:
        """The truth of the picture of a file name; its folder does not matter.

        Raises:
            InputError: the file has no such picture, or several.
        """
        ids = self._by_name.get(Path(name).name, [])
        if len(ids) != 1:
            found = 'no picture' if not ids else f'{len(ids)} pictures'
            raise InputError(f'--truth {self.path} has {found} of the name {Path(name).name}')
        objects = self._of_image.get(ids[0], [])
        return Truth(
            np.array([o[0] for o in objects], np.float64).reshape(-1, 4),
            np.array([o[1] for o in objects], np.int64),
            np.array([o[2] for o in objects], np.bool_),
        )


def true_pictures(
    config: Any, split: str, classes: Sequence[str], most: int = 0
) -> Iterator[TruePicture]:
    """The pictures of a data set of a config, as they were annotated, one after the other.

    Args:
        config: with ``val_dataloader`` or the like.
        split: 'train', 'val' or 'test'.
        classes: of the detector; objects of other classes are left out.
        most: pictures, spread evenly; 0: all.

    Raises:
        InputError: the config has no such data set, or its data is not there.
    """
    for dataset, number in _places(config, split, most):
        packed = loading_alone(dataset)(dataset.get_data_info(number))
        if packed is None:
            continue
        picture, truth = drawable(packed, dataset)
        names = dataset.metainfo.get('classes') or ()
        label_of = {i: classes.index(name) for i, name in enumerate(names) if name in classes}
        kept = [i for i, label in enumerate(truth.labels.tolist()) if label in label_of]
        boxes = np.concatenate([truth.boxes_xyxy[kept], truth.ignored_xyxy])
        labels = [label_of[int(truth.labels[i])] for i in kept]
        crowds = len(truth.ignored_xyxy)
        masks = None
        if truth.masks is not None:
            blank = np.zeros((crowds, *picture.shape[:2]), np.bool_)
            masks = np.concatenate([truth.masks[kept], blank])
        yield TruePicture(
            number,
            str(packed['data_samples'].metainfo.get('img_path', number)),
            np.ascontiguousarray(picture[..., ::-1]),
            Truth(
                np.asarray(boxes, np.float64).reshape(-1, 4),
                np.array([*labels, *[-1] * crowds], np.int64),
                np.array([False] * len(kept) + [True] * crowds, np.bool_),
                masks,
            ),
        )


def count_pictures(config: Any, split: str, most: int = 0) -> int:
    """How many pictures :func:`true_pictures` yields."""
    return len(_places(config, split, most))


def picture_facts(config: Any, split: str, most: int = 0) -> dict[str, Any]:
    """What tells a data set from others: how many pictures, and a digest of all that is said of
    them. Other annotations, or other pictures, have another digest.
    """
    places = _places(config, split, most)
    digest = hashlib.sha256()
    for dataset, number in places:
        digest.update(pickle.dumps(dataset.get_data_info(number)))
    return dict(of_pictures=len(places), data_sha256=digest.hexdigest())


def _places(config: Any, split: str, most: int) -> list[tuple[Any, int]]:
    """The data sets of a split, each with the numbers of its pictures."""
    loader = config.get(f'{split}_dataloader')
    if loader is None:
        raise InputError(f'the config has no {split}_dataloader; --split names train, val or test')
    init_default_scope(config.get('default_scope', 'mmdet'))
    try:
        built = DATASETS.build(loader.dataset)
        getattr(built, 'full_init', lambda: None)()
    except FileNotFoundError as error:
        raise InputError(
            f'the {split} data of the config is not there: {error}; --cfg-options data_root=DIR'
        ) from error
    places = [(part, i) for part in parts_of(built) for i in range(len(part))]
    if most and most < len(places):
        chosen = np.linspace(0, len(places) - 1, most).round().astype(int)
        places = [places[i] for i in dict.fromkeys(chosen.tolist())]
    return places
