"""COCO panoptic data sets, with the class table checked and crowds kept.

Differences from mmdet's class of the same name, which it extends:

- Crowd things are ``instances`` with ``ignore_flag=1``: the RPN and the RoI head
  learn nothing from proposals on them (mmdet drops them).
- PNGs have the name that the annotation gives, not the photo's with ``.jpg`` replaced.
- Labels follow the order of ``metainfo``; mmdet's follow the order of the file, so
  that a file with other ids silently permutes the classes.
- The class table is compared with the file, and must list things first.
- A class table of one's own is one line: ``metainfo=dict(classes=(...))``, things
  first; which classes are things is read from the file. ``classes='auto'`` takes
  all classes of the file, each kind by ascending category id.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from mmdet.datasets import CocoPanopticDataset as MMDetCocoPanopticDataset
from mmengine import fileio

from mmext.errors import InputError
from mmext.formats.coco_boxes import is_usable_box
from mmext.formats.coco_faults import Fault, refuse_unreadable
from mmext.formats.coco_tables import oddities
from mmext.formats.coco_values import some
from mmext.formats.json_files import parse_json
from mmext.formats.panoptic_files import category_table, labels_of_categories, metainfo_line
from mmext.formats.panoptic_records import PanopticRecords, panoptic_records
from mmext.functional.panoptic_labels import INSTANCE_OFFSET
from mmext.pipelines.class_tables import given_metainfo
from mmext.pipelines.coco_dataset import require_places
from mmext.pipelines.data_summary import DataSummary
from mmext.pipelines.summarized_dataset import SummarizedDataset
from mmext.registry import DATASETS

_CLASS_LISTS = ('classes', 'thing_classes', 'stuff_classes')
_MAX_CLASSES = 255  # the semantic map is uint8, 255 its void


@DATASETS.register_module()
class CocoPanopticDataset(SummarizedDataset, MMDetCocoPanopticDataset):
    """A data set in COCO's panoptic format.

    Each image's data has ``img_path``, ``img_id``, ``height``, ``width``,
    ``seg_map_path`` and

    - ``instances``: the things with a usable box: ``bbox`` (x1, y1, x2, y2 in pixels),
      ``bbox_label``, ``ignore_flag`` (1 for a crowd), ``segment_id``;
    - ``segments_info``: all segments: ``id``, ``category`` (label), ``is_thing``
      (False for a crowd, as in mmdet), ``iscrowd``.

    A thing whose box is not finite, smaller than a pixel or outside of the image
    is no instance; its pixels keep their class. Images without an annotation are left out, unless
    no image has one (a test set). ``summary`` says how many.

    With ``test_mode``, ``metainfo`` gets the ``category_ids`` of the labels, for results in COCO's
    format.

    Args:
        As mmdet's ``CocoPanopticDataset``. ``metainfo`` None stands for the 133 classes of COCO.

    Raises:
        MissingFileError: the annotation file or a folder is missing.
        InputError: the file is no panoptic file, its categories are not the classes
            of ``metainfo``, or the classes do not list things first.
    """

    leaves_out_unannotated = True
    """Images without an annotation are nothing to learn from and nothing to be judged by."""
    filter_remark = ' (filter_empty_gt asks for a thing that is no crowd)'

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Without COCO's classes and colours where any classes are given."""
        given, automatic = given_metainfo(metainfo)
        own_classes = automatic or bool(given.keys() & set(_CLASS_LISTS))
        merged: dict[str, Any] = super()._load_metainfo(given)
        if own_classes:
            inherited = {*_CLASS_LISTS, 'palette'} - given.keys()
            merged = {k: v for k, v in merged.items() if k not in inherited}
            merged.setdefault('palette', 'random')
        return merged

    def load_data_list(self) -> list[dict[str, Any]]:
        """Reads and checks the annotation file.

        Returns:
            The data of each image, in the order of the file.
        """
        require_places(self)
        data = fileio.get(self.ann_file, backend_args=self.backend_args)
        records = panoptic_records(parse_json(data, self.ann_file), self.ann_file)
        refuse_unreadable(records.faults, self.ann_file)
        categories = list(records.categories.values())
        self._metainfo |= complete_class_table(self._metainfo, categories, self.ann_file)
        self.cat2label = labels_of_categories(
            categories, self._metainfo['classes'], self._metainfo['thing_classes'], self.ann_file
        )
        self.cat_ids = sorted(self.cat2label, key=self.cat2label.__getitem__)
        if self.test_mode:  # sets to train on are concatenated only if their metainfo is the same
            self._metainfo['category_ids'] = tuple(self.cat_ids)
        bare = set(records.unannotated) if self.leaves_out_unannotated else set()
        data_list = [
            self.parse_data_info({'raw_img_info': i, 'raw_ann_info': records.annotations.get(key)})
            for key, i in records.images.items()
            if key not in bare
        ]
        self.summary = self._summarize(records, data_list, sorted(bare, key=str))
        self.require_objects()
        return data_list

    def parse_data_info(self, raw_data_info: Mapping[str, Any]) -> dict[str, Any]:
        """The data of one image.

        Args:
            raw_data_info: ``raw_img_info``, an entry of ``images``, and
                ``raw_ann_info``, its entry of ``annotations`` or None.
        """
        image, annotation = raw_data_info['raw_img_info'], raw_data_info['raw_ann_info']
        segments = annotation['segments_info'] if annotation else []
        seg_folder = self.data_prefix.get('seg')
        has_map = bool(annotation and seg_folder)
        parsed = [self._parse_segment(s, image) for s in segments if s.get('area', 1) > 0]
        data_info = {
            'img_path': os.path.join(self.data_prefix.get('img') or '', image['file_name']),
            'img_id': image['id'],
            'seg_map_path': os.path.join(seg_folder, annotation['file_name']) if has_map else None,
            'height': image['height'],
            'width': image['width'],
            'instances': [instance for _, instance in parsed if instance is not None],
            'segments_info': [segment for segment, _ in parsed],
        }
        if self.return_classes:
            data_info |= {
                'text': self.metainfo['thing_classes'],
                'stuff_text': self.metainfo['stuff_classes'],
                'custom_entities': True,
            }
        return data_info

    def _parse_segment(
        self, raw: Mapping[str, Any], image: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The entry of ``segments_info`` and, for a thing with a usable box, of ``instances``."""
        label, crowd = self.cat2label[raw['category_id']], bool(raw['iscrowd'])
        of_thing_class = label < len(self._metainfo['thing_classes'])
        segment = {
            'id': raw['id'],
            'category': label,
            'is_thing': of_thing_class and not crowd,
            'iscrowd': crowd,
        }
        if not of_thing_class:
            return segment, None
        if not is_usable_box(raw.get('bbox'), image):
            return segment, None
        x, y, w, h = raw['bbox']
        instance = {
            'bbox': [x, y, x + w, y + h],
            'bbox_label': label,
            'ignore_flag': int(crowd),
            'segment_id': raw['id'],
        }
        return segment, instance

    def _summarize(
        self, records: PanopticRecords, data_list: Sequence[Mapping[str, Any]], bare: Sequence[Any]
    ) -> DataSummary:
        faults = records.faults
        segments = [s for a in records.annotations.values() for s in a['segments_info']]
        crowds = [i['ignore_flag'] for data in data_list for i in data['instances']]
        used = {s['category'] for data in data_list for s in data['segments_info']}
        classes = self._metainfo['classes']
        notes = oddities(records.images, records.categories)
        if bare:
            notes.append(f'{len(bare)} images without annotation are left out ({some(bare)})')
        return DataSummary(
            source=self.ann_file,
            images=len(data_list),
            annotated=sum(records.categories[s['category_id']]['isthing'] for s in segments),
            usable=len(crowds) - sum(crowds),
            ignored=sum(crowds),
            left_out={fault: faults.text(fault) for fault in Fault if fault in faults.counts},
            notes=notes,
            segments=len(segments),
            classes=classes,
            absent=[name for label, name in enumerate(classes) if label not in used],
        )


@DATASETS.register_module()
class CityscapesPanopticDataset(CocoPanopticDataset):
    """Cityscapes as ``csCreatePanopticImgs`` of cityscapesScripts converts it.

    That file names the photos of city ``aachen`` ``aachen_000000_000019_gtFine_leftImg8bit.png``;
    they lie in ``aachen/aachen_000000_000019_leftImg8bit.png``.

    Args:
        As :class:`CocoPanopticDataset`; ``data_prefix.img`` is the folder of the cities.
    """

    _THINGS = ('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
    _STUFF = (
        *('road', 'sidewalk', 'building', 'wall', 'fence', 'pole'),
        *('traffic light', 'traffic sign', 'vegetation', 'terrain', 'sky'),
    )
    METAINFO = {
        'classes': _THINGS + _STUFF,
        'thing_classes': _THINGS,
        'stuff_classes': _STUFF,
        'palette': [
            *[(220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70)],
            *[(0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32)],
            *[(128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153)],
            *[(153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152)],
            (70, 130, 180),
        ],
    }

    def parse_data_info(self, raw_data_info: Mapping[str, Any]) -> dict[str, Any]:
        """The data of one image, with the path its photo really has."""
        data_info = super().parse_data_info(raw_data_info)
        name = os.path.basename(raw_data_info['raw_img_info']['file_name'])
        name = name.replace('_gtFine_leftImg8bit', '_leftImg8bit')
        data_info['img_path'] = os.path.join(
            self.data_prefix.get('img') or '', name.split('_')[0], name
        )
        return data_info


def complete_class_table(
    metainfo: Mapping[str, Any], categories: Sequence[Mapping[str, Any]], source: str
) -> dict[str, tuple[str, ...]]:
    """Fills in what ``metainfo`` leaves to the file and checks the order.

    Args:
        metainfo: any of ``classes``, ``thing_classes``, ``stuff_classes``.
        categories: of the annotation file.
        source: name of the file, for the errors.

    Returns:
        All three of them.

    Raises:
        InputError: ``classes`` is not ``thing_classes + stuff_classes``, or too many.
    """
    table = category_table(categories)
    listed = (*metainfo.get('thing_classes', ()), *metainfo.get('stuff_classes', ()))
    classes = tuple(metainfo.get('classes', listed or table['classes']))
    stuff_in_file = set(table['stuff_classes'])
    things = metainfo.get('thing_classes', [c for c in classes if c not in stuff_in_file])
    stuff = metainfo.get('stuff_classes', [c for c in classes if c in stuff_in_file])
    for position, (name, expected) in enumerate(zip_longest(classes, (*things, *stuff))):
        if name != expected:
            raise InputError(
                f'{source}: classes of metainfo must be thing_classes + stuff_classes, things '
                f'first; at position {position} {name!r} stands for {expected!r}\n'
                f'for the classes of the file write\n  {metainfo_line(categories)}'
            )
    limit = min(_MAX_CLASSES, INSTANCE_OFFSET - 1)
    if len(classes) > limit:
        raise InputError(f'{source}: at most {limit} classes, got {len(classes)}')
    return {'classes': classes, 'thing_classes': tuple(things), 'stuff_classes': tuple(stuff)}
