"""COCO's instances files, whoever wrote them, with labels that go by name.

Differences from mmdet's class of the same name, which it extends:

- Labels follow the order of ``metainfo['classes']``; mmdet's follow the order of the file, so that
  a file with another order silently permutes the classes.
- ``metainfo=dict(classes='auto')`` takes all categories of the file, by ascending id.
- A class that the file lacks while it has others is an error; mmdet shifts the labels behind it.
- Where some objects have a mask and others have none, those have an empty one, which mmdet's loader
  ignores; without it the loader fails.
- The records are read in one form (:mod:`mmext.formats.coco_records`), and what cannot be used is
  counted and said.
"""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mmdet.datasets import CocoDataset as HostCocoDataset
from mmengine import fileio

from mmext.errors import MissingFileError
from mmext.formats.coco_faults import Fault, refuse_unreadable
from mmext.formats.coco_records import CocoRecords, coco_records
from mmext.formats.json_files import parse_json
from mmext.pipelines.class_tables import (
    classes_of_file,
    given_metainfo,
    labels_by_name,
)
from mmext.pipelines.data_summary import DataSummary
from mmext.pipelines.summarized_dataset import SummarizedDataset
from mmext.registry import DATASETS

_IGNORED = 'marked "ignore"'
_NO_CLASS = 'of categories that are no class'


@DATASETS.register_module()
class CocoDataset(SummarizedDataset, HostCocoDataset):
    """A data set in COCO's instances format.

    Args:
        As mmdet's ``CocoDataset``. ``metainfo`` None stands for the 80 classes of COCO,
        ``classes='auto'`` in it for all categories of the file.

    Attributes:
        summary: what was read, see :class:`~mmext.pipelines.data_summary.DataSummary`.

    With ``test_mode``, ``metainfo`` gets the ``category_ids`` of the labels, for results in COCO's
    format.

    Raises:
        MissingFileError: the annotation file or a folder is missing.
        InputError: the file is no instances file, has objects without a box, or lacks a class; or
            there is nothing to learn.
    """

    data_list: list[dict[str, Any]]

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Without the palette of COCO where other classes are given."""
        given, automatic = given_metainfo(metainfo)
        merged: dict[str, Any] = super()._load_metainfo(given)
        if automatic:
            merged.pop('classes', None)
        if automatic or 'classes' in given:
            merged['palette'] = given.get('palette', 'random')
        return merged

    def load_data_list(self) -> list[dict[str, Any]]:
        """Reads and checks the annotation file.

        Returns:
            The data of each image, in the order of the file.
        """
        records = self.read_records()
        classes = self._metainfo.setdefault('classes', classes_of_file(records.categories))
        self.cat2label = labels_by_name(records.categories, classes, self.ann_file)
        self.cat_ids = sorted(self.cat2label, key=self.cat2label.__getitem__)
        if self.test_mode:  # sets to train on are concatenated only if their metainfo is the same
            self._metainfo['category_ids'] = tuple(self._category_ids(records))
        by_image: dict[Any, list[dict[str, Any]]] = {i: [] for i in records.images}
        images_of_class: dict[Any, set[Any]] = {i: set() for i in self.cat_ids}
        for annotation in records.annotations:
            if annotation['id'] not in records.unusable:
                by_image[annotation['image_id']].append(annotation)
            if annotation['category_id'] in images_of_class:
                images_of_class[annotation['category_id']].add(annotation['image_id'])
        self.cat_img_map = {i: list(images) for i, images in images_of_class.items()}
        data_list = [
            self.parse_data_info(
                {'raw_img_info': {**image, 'img_id': i}, 'raw_ann_info': by_image[i]}
            )
            for i, image in records.images.items()
        ]
        _mark_maskless(data_list)
        self.summary = self._summarize(records, data_list)
        self.require_objects()
        return data_list

    def read_records(self) -> CocoRecords:
        """The records of the annotation file."""
        return read_records(self)

    def _category_ids(self, records: CocoRecords) -> list[Any]:
        """Id of each class; those that the file lacks get ids that it does not use."""
        ids = {records.categories[i]['name']: i for i in self.cat_ids}
        largest = max((i for i in records.categories if isinstance(i, int)), default=0)
        classes = self._metainfo['classes']
        absent = [name for name in classes if name not in ids]
        spare = {name: largest + place for place, name in enumerate(absent, start=1)}
        return [ids[name] if name in ids else spare[name] for name in classes]

    def _summarize(self, records: CocoRecords, data_list: list[dict[str, Any]]) -> DataSummary:
        faults, classes = records.faults, self._metainfo['classes']
        left_out: dict[str, str] = {
            fault: faults.text(fault) for fault in Fault if fault in faults.counts
        }
        left_out.pop(Fault.BAD_MASK, None)
        marked = sum(bool(a.get('ignore')) for a in records.annotations)
        foreign = sum(a['category_id'] not in self.cat2label for a in records.annotations)
        if marked:
            left_out[_IGNORED] = f'{marked} {_IGNORED}'
        if foreign:
            left_out[_NO_CLASS] = f'{foreign} {_NO_CLASS}'
        counts = [0, 0]
        found = set()
        maskless = 0
        for data in data_list:
            for instance in data['instances']:
                maskless += instance.get('mask') == []
                counts[instance['ignore_flag']] += 1
                found.add(instance['bbox_label'])
        notes = list(records.notes)
        if Fault.BAD_MASK in faults.counts:
            notes.append(f'without a mask: {faults.text(Fault.BAD_MASK)}')
        if maskless:
            notes.append(f'{maskless} objects have no mask; to a model of masks they are crowds')
        names = {category['name'] for category in records.categories.values()}
        return DataSummary(
            source=self.ann_file,
            images=len(data_list),
            annotated=records.num_written,
            usable=counts[0],
            ignored=counts[1],
            left_out=left_out,
            notes=notes,
            classes=tuple(classes),
            absent=[name for label, name in enumerate(classes) if label not in found],
            unused=sorted(names - set(classes)),
        )


def _mark_maskless(data_list: Sequence[Mapping[str, Any]]) -> None:
    """Give an empty mask to the objects without one where others have one.

    mmdet's loader of masks ignores an object whose mask is empty, and fails where there is none.
    """
    instances = [instance for data in data_list for instance in data['instances']]
    bare = [instance for instance in instances if 'mask' not in instance]
    if len(bare) < len(instances):
        for instance in bare:
            instance['mask'] = []


def read_records(dataset: Any) -> CocoRecords:
    """The records of a data set's annotation file, after a look whether its files are there.

    Raises:
        MissingFileError: the annotation file or a folder is missing.
        InputError: it is no instances file, or an object has no box.
    """
    require_places(dataset)
    read = partial(fileio.get, backend_args=dataset.backend_args)
    records = coco_records(parse_json(read(dataset.ann_file), dataset.ann_file), dataset.ann_file)
    refuse_unreadable(records.faults, dataset.ann_file)
    return records


def require_places(dataset: Any) -> None:
    """Look whether the annotation file and the folders of a data set are there.

    Raises:
        MissingFileError: one is missing.
    """
    places = {'ann_file': dataset.ann_file}
    places |= {f'data_prefix.{k}': v for k, v in dataset.data_prefix.items() if v}
    for name, place in places.items():
        # object stores have no folders to look for
        if '://' not in place and not os.path.exists(place):
            raise MissingFileError(
                f'{name}: nothing at {os.path.abspath(place)}. Download or link the data set '
                f'there, or change data_root and {name} in the config'
            )
