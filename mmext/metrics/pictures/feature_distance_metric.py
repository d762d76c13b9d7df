"""The evaluator of sets of made pictures, by features of the user's own detector, for mmengine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmext.errors import InputError, MissingFileError
from mmext.formats.picture_files import pictures_below
from mmext.metrics.pictures.feature_distance import (
    FeatureSums,
    Sample,
    frechet_distance,
    kernel_distance,
)
from mmext.registry import METRICS, MODELS

_SIDES = ('ours', 'theirs')


@METRICS.register_module()
class FeatureDistanceMetric(BaseMetric):
    """FID and KID (times 1000) of made pictures and real ones, by the features of a backbone.

    The backbone is that of a detector of the user's: what that detector does not tell apart does
    not count. The values are named after it, as ``FID(ResNet18@upsnet_demo)``; they are no
    "FID", which is of one network that is not here. A picture is its last map's mean: D numbers.

    Memory does not grow with the pictures: of FID there are sums, of KID at most ``sample``
    pictures a side.

    Args:
        backbone: config of a backbone, whose weights are named by
            ``init_cfg=dict(type='Pretrained', checkpoint=FILE, prefix='backbone.')``; random
            ones are refused.
        mean: of the backbone's inputs, as in the detector's ``data_preprocessor``.
        std: likewise.
        field: name of the made pictures in the samples, uint8 ``[3, H, W]`` BGR.
        target: of the real ones; with ``reference`` none are needed.
        reference: a folder of real pictures instead, of any number; read at the first evaluation.
        to_rgb: turn pictures around before they are normalised, as the detector does.
        name: in the values; by default the backbone and the file of its weights.
        sample: how many pictures of either side KID looks at.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        InputError: no weights are named, or they are of another backbone.
        MissingFileError: no such file or folder.
    """

    default_prefix = 'pictures'

    def __init__(
        self,
        backbone: Mapping[str, Any],
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        field: str = 'translated',
        target: str = 'target',
        reference: str | None = None,
        to_rgb: bool = True,
        name: str | None = None,
        sample: int = 1000,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self._network = _pretrained(backbone)
        self._mean, self._std = (torch.tensor(each).view(3, 1, 1) for each in (mean, std))
        self.field, self.target, self.to_rgb, self.sample = field, target, to_rgb, sample
        self.name = name or _name(backbone)
        self.reference = pictures_below(reference) if reference else None

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Look at the pictures of a batch.

        Args:
            data_batch: not used.
            data_samples: each with the made picture and, without ``reference``, the real one.

        Raises:
            InputError: a picture is missing.
        """
        names = [self.field] if self.reference else [self.field, self.target]
        for sample in data_samples:
            for side, name in zip(_SIDES, names, strict=False):
                if name not in sample:
                    raise InputError(
                        f'FeatureDistanceMetric: no picture {name!r} in the samples: the pipeline '
                        'has to pack it, the model to make it'
                    )
                self._take(side, sample[name])

    def _take(self, side: str, picture: Tensor) -> None:
        features = self._features(picture)
        if not self.results:
            self.results.append({})
        known = self.results[0]
        if side not in known:
            known[side] = FeatureSums(features.shape[1]), Sample(self.sample)
        for part in known[side]:
            part.add(features)

    @torch.no_grad()
    def _features(self, picture: Tensor) -> np.ndarray:
        """``[1, D]`` of a uint8 ``[3, H, W]``."""
        network = self._network.to(picture.device)
        values = (picture.flip(0) if self.to_rgb else picture).float()
        mean, std = (each.to(picture.device) for each in (self._mean, self._std))
        maps = network(((values - mean) / std)[None])
        last = maps[-1] if isinstance(maps, tuple | list) else maps
        return np.asarray(last.mean((2, 3)).cpu().numpy())

    def evaluate(self, size: int) -> dict[str, float]:
        """The values over all pictures; the folder of real ones is read here."""
        if self.reference and self.results:
            from mmengine.dist import get_rank, get_world_size

            for path in self.reference[get_rank() :: get_world_size()]:
                self._take('theirs', torch.from_numpy(_read(path)))
        return dict(super().evaluate(size))

    def compute_metrics(self, results: Sequence[dict[str, Any]]) -> dict[str, float]:
        """Both distances over what all ranks have seen."""
        sums, kept = {}, {}
        for side in _SIDES:
            parts = [result[side] for result in results if side in result]
            if not parts:
                raise InputError('FeatureDistanceMetric: no pictures were made')
            total = FeatureSums(len(parts[0][0].total))
            for part in parts:
                total.merge(part[0])
            sums[side] = total
            kept[side] = np.stack([vector for part in parts for vector in part[1].kept])
        mean, deviation = kernel_distance(kept['ours'], kept['theirs'])
        return {
            f'FID({self.name})': frechet_distance(sums['ours'], sums['theirs']),
            f'KID({self.name})': 1000 * mean,
            f'KID({self.name}) deviation': 1000 * deviation,
        }


def _pretrained(config: Mapping[str, Any]) -> nn.Module:
    """The backbone with its weights: nothing of it learns."""
    start = config.get('init_cfg') or {}
    if start.get('type') != 'Pretrained' or not start.get('checkpoint'):
        raise InputError(
            'FeatureDistanceMetric: random features tell nothing: name weights by '
            "backbone=dict(..., init_cfg=dict(type='Pretrained', checkpoint=FILE, "
            "prefix='backbone.'))"
        )
    file = str(start['checkpoint'])
    if '://' not in file and not Path(file).is_file():
        raise MissingFileError(f'FeatureDistanceMetric: no weights at {Path(file).absolute()}')
    network: nn.Module = MODELS.build({**config, 'init_cfg': None})
    loaded = CheckpointLoader.load_checkpoint(file, map_location='cpu')
    prefix, weights = start.get('prefix', ''), loaded.get('state_dict', loaded)
    weights = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    if not weights:
        raise InputError(f'FeatureDistanceMetric: {file} has no weights that begin with {prefix!r}')
    own = {key: value for key, value in network.state_dict().items() if value.ndim}
    wrong = [k for k, v in own.items() if k not in weights or weights[k].shape != v.shape]
    if wrong:
        raise InputError(
            f'FeatureDistanceMetric: {file} holds another backbone: {len(wrong)} weights are '
            f'missing or of another shape, the first is {wrong[0]}'
        )
    network.load_state_dict(weights, strict=False)
    network.eval()  # returns nothing where it is a ResNet of the host
    return network.requires_grad_(False)


def _name(backbone: Mapping[str, Any]) -> str:
    kind = str(backbone['type']).rpartition('.')[2]
    return f'{kind}{backbone.get("depth", "")}@{Path(backbone["init_cfg"]["checkpoint"]).stem}'


def _read(path: Path) -> np.ndarray:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f'{path}: cannot be read as a picture')
    return np.ascontiguousarray(picture.transpose(2, 0, 1))
