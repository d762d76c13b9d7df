"""The objects of a detection data set, one by one, as crops with their masks."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures import DetDataSample
from torch.utils.data import Dataset

from mmext.errors import InputError
from mmext.registry import DATASETS, TRANSFORMS
from mmext.translation.crop_bank import CropBank, cut_out


@DATASETS.register_module()
class ObjectCrops(Dataset):
    """A data set whose samples are whole objects of another one, all classes equally often.

    Objects that reach the border, are ignored or too small are left out. Item i is of class
    ``i % K``; those of a rare class come again and again.

    Args:
        dataset: a detection data set with masks; its pipeline is not used.
        size: S, px of the crops.
        min_side: px of the shorter side of a box.
        flip: how often a crop is mirrored.

    Raises:
        InputError: a class without any object, or objects without masks.
    """

    def __init__(
        self, dataset: Mapping[str, Any], size: int = 32, min_side: int = 8, flip: float = 0.5
    ) -> None:
        self.dataset = DATASETS.build({**dataset, 'pipeline': [], 'serialize_data': False})
        self.size, self.min_side, self.flip = size, min_side, flip
        self.metainfo = self.dataset.metainfo
        self.classes = tuple(self.metainfo.get('thing_classes', self.metainfo['classes']))
        self.objects = self._find()
        self._load_image = TRANSFORMS.build(dict(type='mmext.LoadImageFromFile'))
        self._load_masks = LoadAnnotations(with_bbox=True, with_mask=True)

    def _find(self) -> dict[int, list[tuple[int, int]]]:
        """Of each label (index of the image, number of the object)."""
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            for number, thing in enumerate(info['instances']):
                x1, y1, x2, y2 = thing['bbox']
                whole = x1 >= 1 and y1 >= 1 and x2 <= info['width'] - 1 and y2 <= info['height'] - 1
                large = min(x2 - x1, y2 - y1) >= self.min_side
                if whole and large and not thing.get('ignore_flag', 0):
                    if 'mask' not in thing:
                        raise InputError('ObjectCrops: the data set has boxes without masks')
                    found[thing['bbox_label']].append((index, number))
        empty = [name for label, name in enumerate(self.classes) if label not in found]
        if empty:
            raise InputError(
                f'ObjectCrops: no whole object of {empty[0]!r} with at least {self.min_side} px'
            )
        return found

    def __len__(self) -> int:
        """As often as the most frequent class has objects, for every class."""
        return len(self.classes) * max(map(len, self.objects.values()))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``inputs``, uint8 ``[4, S, S]`` RGB and mask, and ``data_samples`` with ``label``."""
        label = index % len(self.classes)
        places = self.objects[label]
        crop = self.crop(*places[index // len(self.classes) % len(places)])
        if np.random.random() < self.flip:
            crop = crop[:, ::-1]
        inputs = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))
        return dict(inputs=inputs, data_samples=DetDataSample(metainfo=dict(label=label)))

    def crop(self, index: int, number: int) -> Any:
        """An object of an image, uint8 ``[S, S, 4]``."""
        info = self.dataset.get_data_info(index)
        info['instances'] = [info['instances'][number]]
        loaded = self._load_masks(self._load_image(info))
        image = np.ascontiguousarray(loaded['img'][..., ::-1])
        box = info['instances'][0]['bbox']
        return cut_out(image, loaded['gt_masks'].masks[0], box, self.size)

    def bank(self) -> CropBank:
        """All crops, each once."""
        places = [(label, place) for label in sorted(self.objects) for place in self.objects[label]]
        return CropBank(
            np.stack([self.crop(*place) for _, place in places]),
            np.asarray([label for label, _ in places]),
            self.classes,
        )
