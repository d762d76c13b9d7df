"""Both CenterNets as networks of tensors alone, with the decoding inside.

Of objects as points all is inside, flipped images too. Of keypoint triplets the pairs of corners
and the centers are; which centers confirm a pair depends on the size of the original image, and
soft-NMS is a loop, so both stay outside. See :mod:`mmext.layers.network_parts`.

Shapes: N images, K objects, J joints, D pairs of corners.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmext.centernet.point_decoding import to_pixels
from mmext.centernet.point_head import PLACES
from mmext.centernet.triplet_decoding import CornerPairs, Keypoints, decode_maps, to_image_frame
from mmext.centernet.triplet_head import CenterNetTripletHead, image_windows
from mmext.layers.network_parts import Backbone, ImageInput, NetworkPart, Runner, image_example

STRIDE_PX = 4  # of the maps of both
_PAIRS = ('pair_boxes', 'pair_scores', 'corner_scores', 'pair_labels')
_CENTERS = ('centers', 'center_scores', 'center_labels')
_DIVISOR = 32  # of the sides of an image, without an hourglass


class PointNetwork(nn.Module):
    """Objects as points, from image to objects.

    Args:
        detector: the model; ``test_cfg.flip`` counts.
        meta: of its data: ``flip_pairs`` where the head does not say them.
    """

    def __init__(self, detector: Any, meta: Mapping[str, Any]) -> None:
        super().__init__()
        self.features, self.head = Backbone(detector), detector.bbox_head
        self.flips = bool((detector.test_cfg or {}).get('flip'))
        self.meta = dict(meta)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The objects of BGR images 0..255 ``[N, 3, H, W]``; see :meth:`fields`."""
        return tuple(self.fields(image).values())

    def fields(self, image: Tensor) -> dict[str, Tensor]:
        """``bboxes`` ``[N, K, 4]``, ``scores``, ``labels``, ``centers``, of poses key points; px.

        Args:
            image: BGR 0..255, ``[N, 3, H, W]``.
        """
        if self.flips:
            image = torch.cat([image, image.flip(3)])
        (stacks,) = self.head(self.features(image))
        maps = stacks[-1]
        if self.flips:
            maps = self.head.merge_flipped(maps, [self.meta])
        fields = self.head.fields_in_cells(maps)
        return {k: v * STRIDE_PX if k in PLACES else v for k, v in fields.items()}


class TripletNetwork(nn.Module):
    """Keypoint triplets, from image to pairs of corners and centers.

    Args:
        detector: the model; ``test_cfg.flip`` counts.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.features, self.head = Backbone(detector), detector.bbox_head
        self.settings = detector.bbox_head.settings

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Fields of pairs ``[N, D, ...]`` and of centers ``[N, K, ...]``.

        Places are in px of an image whose sides are multiples of 4. What is no pair or no center
        has a score of -inf, and is 0 otherwise.

        Args:
            image: BGR 0..255, ``[N, 3, H, W]``.
        """
        flips = self.settings.flip
        image = torch.cat([image, image.flip(3)]) if flips else image
        maps = self.head.last_maps(self.features(image))
        pairs, centers = decode_maps(maps, self.settings, flips, fixed_number=True)
        pairs = pairs._replace(boxes=pairs.boxes * STRIDE_PX)
        centers = centers._replace(points_xy=centers.points_xy * STRIDE_PX)
        return (*_cleared(pairs, pairs.scores), *_cleared(centers, centers.scores))


def _cleared(fields: Sequence[Tensor], scores: Tensor) -> list[Tensor]:
    """Fields ``[N, D, ...]``, 0 where the score ``[N, D]`` is -inf, but the scores as they are."""
    absent = scores == -torch.inf
    return [
        field
        if field is scores
        else field.masked_fill(absent.view(*absent.shape, *[1] * (field.dim() - 2)), 0)
        for field in fields
    ]


def network_parts(
    detector: Any, size_hw: tuple[int, int], meta: Mapping[str, Any]
) -> dict[str, NetworkPart]:
    """``dense``, all of the network.

    Args:
        detector: of either kind.
        size_hw: of the example, px.
        meta: of its data: ``flip_pairs``.
    """
    divisor = _divisor(detector.backbone)
    height, width = (math.ceil(side / divisor) * divisor for side in size_hw)
    inputs = image_example((height, width))
    if isinstance(detector.bbox_head, CenterNetTripletHead):
        part = NetworkPart(TripletNetwork(detector), inputs, (*_PAIRS, *_CENTERS), divisor, True)
    else:
        network = PointNetwork(detector, meta)
        part = NetworkPart(network, inputs, tuple(network.fields(**inputs)), divisor, True)
    return dict(dense=part)


def _divisor(backbone: Any) -> int:
    """What both sides of an image are multiples of, so that halved maps can be added."""
    times = getattr(backbone, 'hourglass_modules', None)
    if times is None:
        return _DIVISOR
    depth, module = 0, times[0]
    while hasattr(module, 'low2'):
        depth, module = depth + 1, module.low2
    return STRIDE_PX * 2**depth


def use_parts(detector: Any, runners: Mapping[str, Runner]) -> None:
    """Let a CenterNet predict with its network run elsewhere, in place."""
    image_input, dense = ImageInput(detector.data_preprocessor), runners['dense']
    if isinstance(detector.bbox_head, CenterNetTripletHead):
        _use_triplets(detector, image_input, dense)
    else:
        _use_points(detector, image_input, dense)


def _use_points(detector: Any, image_input: ImageInput, dense: Runner) -> None:
    def predict(
        batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        outputs = dense(image_input.pixels(batch_inputs))
        fields = dict(zip(dense.output_names, outputs, strict=True))
        metas = [sample.metainfo for sample in batch_data_samples]
        height, width = batch_inputs.shape[2:]
        for name in PLACES:
            if name in fields:  # one cell a pixel
                fields[name] = to_pixels(fields[name], metas, (height, width), rescale)
        results = [
            detector.bbox_head.limit(InstanceData(**{k: v[i] for k, v in fields.items()}))
            for i in range(len(metas))
        ]
        return detector.add_pred_to_datasample(batch_data_samples, results)

    detector.predict = predict


def _use_triplets(detector: Any, image_input: ImageInput, dense: Runner) -> None:
    head = detector.bbox_head

    def candidates(
        outputs: Sequence[Tensor], batch_img_metas: list[dict[str, Any]]
    ) -> tuple[CornerPairs, Keypoints]:
        pairs, centers = CornerPairs(*outputs[: len(_PAIRS)]), Keypoints(*outputs[len(_PAIRS) :])
        height, width = batch_img_metas[0]['batch_input_shape']
        # the network counts cells of 4 px; a side that is no multiple has cells a little smaller
        cell = [side / math.ceil(side / STRIDE_PX) / STRIDE_PX for side in (width, height)]
        windows = image_windows(batch_img_metas, pairs.boxes)
        return to_image_frame(pairs, centers, windows, (cell[0], cell[1]))

    # flipped images are the network's part
    head.settings = replace(head.settings, flip=False)
    head.last_maps = lambda outputs: outputs
    head.candidates = candidates
    detector.extract_feat = lambda inputs: dense(image_input.pixels(inputs))
