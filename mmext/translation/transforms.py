"""Sources and targets of a translation, from what data sets and the host's transforms give."""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures import DetDataSample
from torch import Tensor

from mmext.errors import InputError
from mmext.pipelines.loading import LoadImage
from mmext.registry import TRANSFORMS
from mmext.translation.condition import instance_edges

_BEYOND_CLASSES = 1 << 16  # numbers of instances begin here, labels of stuff are below


@TRANSFORMS.register_module()
class ToCondition(BaseTransform):
    """The panoptic truth as a source: labels and edges of instances.

    After every transform that moves pixels. Takes ``gt_seg_map`` ``[H, W]`` (255 is void) and,
    where they are, ``gt_masks`` of n instances. Adds ``source``, uint8 ``[H, W, 2]``: label, edge.

    Raises:
        InputError: there is no map.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``source``."""
        labels = results.get('gt_seg_map')
        if labels is None:
            raise InputError(
                f'{results.get("img_path", "a sample")}: no gt_seg_map to make a picture '
                'from; load it before (mmext.LoadPanopticAnnotations)'
            )
        numbers = labels.astype(np.int32)
        masks = results.get('gt_masks')
        if masks is not None:
            for number, mask in enumerate(masks.masks):
                numbers[mask.astype(bool)] = _BEYOND_CLASSES + number
        edges = instance_edges(torch.from_numpy(numbers)[None])[0].numpy()
        results['source'] = np.stack((labels.astype(np.uint8), edges.astype(np.uint8)), -1)
        return results


@TRANSFORMS.register_module()
class LoadPair(BaseTransform):
    """Source and target of a pair as one picture of six channels, which transforms move as one.

    Of ``img_path`` and ``source_path``, or of ``img_path`` alone, which then shows both side by
    side.
    :class:`PackTranslation` with ``source='pair'`` divides them again.

    Args:
        target_first: of a picture that shows both, the left half is the target (the release's A is
            the left half, and its direction is said by the user).
        **loading: of :class:`mmext.pipelines.loading.LoadImage`.

    Raises:
        InputError: the pictures of a pair have different sizes, or a width cannot be halved.
    """

    def __init__(self, target_first: bool = False, **loading: Any) -> None:
        self.target_first = target_first
        self._load = LoadImage(**loading)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` ``[H, W, 6]``: the target, then the source."""
        target = self._read(results['img_path'])
        if source_path := results.get('source_path'):
            source = self._read(source_path)
            if source.shape != target.shape:
                raise InputError(
                    f'{source_path}: {source.shape[1]} x {source.shape[0]} px, its pair '
                    f'{results["img_path"]} {target.shape[1]} x {target.shape[0]}; expected equal'
                )
        else:
            width = target.shape[1]
            if width % 2:
                raise InputError(
                    f'{results["img_path"]}: a pair side by side has an even width, got {width} px'
                )
            halves = target[:, : width // 2], target[:, width // 2 :]
            target, source = halves if self.target_first else halves[::-1]
        results['img'] = np.concatenate((target, source), -1)
        results['img_shape'] = results['ori_shape'] = target.shape[:2]
        return results

    def _read(self, path: str) -> np.ndarray:
        loaded = self._load.transform({'img_path': path})
        assert loaded is not None  # nothing is ignored
        return np.asarray(loaded['img'])


@TRANSFORMS.register_module()
class PackTranslation(BaseTransform):
    """The end of a pipeline: ``inputs`` is the source, the target is in the data sample.

    Args:
        source: key of the source, ``[H, W, C]`` uint8; ``'pair'`` divides an ``img`` of
            :class:`LoadPair`.
        target: key of the target; None: there is none, as in a test without truth.
        meta_keys: what else goes along, where it is there.

    Raises:
        InputError: nothing under the key of the source or target.
    """

    def __init__(
        self,
        source: str = 'source',
        target: str | None = 'img',
        meta_keys: tuple[str, ...] = (
            *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            *('flip', 'flip_direction'),
        ),
    ) -> None:
        self.source, self.target, self.meta_keys = source, target, meta_keys

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return ``inputs`` and ``data_samples``."""
        if self.source == 'pair':
            both = results['img']
            results = {**results, 'img': both[..., :3], 'pair': both[..., 3:]}
        sample = DetDataSample(metainfo={k: results[k] for k in self.meta_keys if k in results})
        if self.target is not None:
            sample.target = self._tensor(results, self.target)
        return dict(inputs=self._tensor(results, self.source), data_samples=sample)

    def _tensor(self, results: dict[str, Any], key: str) -> Tensor:
        if key not in results:
            raise InputError(
                f'{results.get("img_path", "a sample")}: no {key!r} to pack; a step before has to '
                'add it (mmext.ToCondition, mmext.LoadPair)'
            )
        return torch.from_numpy(np.ascontiguousarray(results[key].transpose(2, 0, 1)))
