"""A detector as a function of its input: prepared images, predictions with or without a graph.

Shape legend: B images, ``H x W`` input with padding, n detections.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.explain import detectors
from mmext.explain.geometry import Frame, frame_of

_HALF = (torch.bfloat16, torch.float16)
_POINTS = ('keypoints', 'keypoint_scores')
# what moves pixels otherwise than a frame can say
_UNKNOWN_GEOMETRY = ('Rotate', 'Shear', 'Translate', 'RandomAffine', 'Mosaic', 'MixUp', 'Expand')


class Prepared(NamedTuple):
    """An image as the network gets it.

    Attributes:
        image: BGR ``[h, w, 3]`` uint8.
        inputs: ``[1, 3, H, W]``, normalized and padded.
        meta: of the data sample.
        frame: where the image is in the input.
        name: of the file.
    """

    image: npt.NDArray[np.uint8]
    inputs: Tensor
    meta: dict[str, Any]
    frame: Frame
    name: str = ''

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the input, px."""
        height, width = self.inputs.shape[2:]
        return int(height), int(width)


class Network:
    """A detector, its test pipeline and its classes.

    Weights in half precision are explained by a copy in float32 of the same values.

    Args:
        predictor: of the detector, see :class:`mmext.inference.prediction.Predictor`.
    """

    def __init__(self, predictor: Any) -> None:
        model = predictor.model
        while isinstance(getattr(model, 'module', None), nn.Module):  # DDP, test-time augmentation
            model = model.module
        model = getattr(model, 'plain', model)  # of a fast copy, which has no gradients
        if any(p.dtype in _HALF for p in model.parameters()):
            # derivatives of scores near 1 vanish in half precision, and many layers have none there
            model = copy.deepcopy(model).float()
        self.model: Any = model
        self.predictor = predictor
        self.classes: tuple[str, ...] = tuple(predictor.classes)
        for step in predictor.pipeline.transforms:
            if type(step).__name__.endswith(_UNKNOWN_GEOMETRY):
                raise InputError(
                    f'the test pipeline has {type(step).__name__}: where a pixel of the input lies '
                    'in the picture is known of resizing, padding and flips alone'
                )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def prepare(self, image: npt.NDArray[np.uint8], name: str = '') -> Prepared:
        """An image ``[h, w, 3]`` BGR uint8 through the test pipeline and the preprocessor."""
        data = pseudo_collate([self.predictor.pipeline(dict(img=image, img_id=0))])
        with torch.no_grad():
            data = self.model.data_preprocessor(data, False)
        meta = dict(data['data_samples'][0].metainfo)
        inputs = data['inputs'].detach().float()
        if inputs.ndim == 5:  # of a video model: one frame
            inputs = inputs[:, 0]
        return Prepared(image, inputs, meta, frame_of(meta), name)

    def predict(
        self,
        inputs: Tensor,
        meta: dict[str, Any],
        proposals_xyxy: Tensor | None = None,
        masks: bool = True,
    ) -> list[InstanceData]:
        """The detections in inputs ``[B, 3, H, W]``, each as if it were alone.

        Args:
            inputs: of the shape of one prepared image.
            meta: of that image.
            proposals_xyxy: ``[n, 4]`` px of the input, in the place of those of the first stage.
            masks: False: leave them out, see :func:`.detectors.boxes_alone`.

        Returns:
            B times ``bboxes`` ``[n, 4]`` px of the picture, ``scores``, ``labels``, and
            ``keypoints``, ``keypoint_scores`` if there are.

        Raises:
            InputError: the detector puts out no instances.
        """
        if not masks or detectors.hides_instances(self.model):
            samples = self._samples(inputs, meta, proposals_xyxy)
            make = detectors.second_stage_instances if masks else detectors.boxes_alone
            found = make(self.model, inputs, samples)
            for sample, instances in zip(samples, found, strict=True):
                sample.pred_instances = instances
            return [_instances(sample) for sample in samples]
        return [_instances(s) for s in self.predict_samples(inputs, meta, proposals_xyxy)]

    def predict_samples(
        self, inputs: Tensor, meta: dict[str, Any], proposals_xyxy: Tensor | None = None
    ) -> Sequence[DetDataSample]:
        """As :meth:`predict` of ``[B, 3, H, W]``, with all that the detector puts out."""
        if callable(getattr(self.model, 'reset', None)):
            self.model.reset()  # the images are no video
        samples = self._samples(inputs, meta, proposals_xyxy)
        outputs: Sequence[DetDataSample] = self.model.predict(inputs, samples, rescale=True)
        return outputs

    def _samples(
        self, inputs: Tensor, meta: dict[str, Any], proposals_xyxy: Tensor | None
    ) -> list[DetDataSample]:
        """Fresh data samples, which a prediction writes into."""
        samples = [DetDataSample(metainfo=dict(meta)) for _ in inputs]
        if proposals_xyxy is not None:
            for sample in samples:
                scores = proposals_xyxy.new_ones(len(proposals_xyxy))
                sample.proposals = InstanceData(
                    bboxes=proposals_xyxy, scores=scores, labels=scores.long() * 0
                )
        return samples

    def features(self, inputs: Tensor) -> Any:
        """What the heads see of inputs ``[B, 3, H, W]``."""
        return self.model.extract_feat(inputs)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """See :func:`mmext.explain.detectors.undisturbed`; gradients are computed where asked."""
        with detectors.undisturbed(self.model), torch.inference_mode(False), torch.enable_grad():
            yield


def _instances(sample: DetDataSample) -> InstanceData:
    if 'pred_instances' not in sample:
        raise InputError(
            'the detector puts out no instances, only a panoptic or semantic map: nothing has a '
            'score that could be explained'
        )
    instances = sample.pred_instances
    boxes = getattr(instances.bboxes, 'tensor', instances.bboxes)
    if 'masks' in instances and len(boxes) and not boxes.any():  # the host's SOLO
        boxes = mask_boxes(instances.masks).to(boxes)
    points = {name: instances.get(name) for name in _POINTS if name in instances}
    return InstanceData(bboxes=boxes, scores=instances.scores, labels=instances.labels, **points)


def mask_boxes(masks: Tensor) -> Tensor:
    """Boxes ``[n, 4]`` around masks ``[n, h, w]``, zeros around empty ones."""
    boxes = torch.zeros(len(masks), 4)
    for box, mask in zip(boxes, masks.cpu(), strict=True):
        rows, columns = mask.bool().nonzero(as_tuple=True)
        if len(rows):
            box[:] = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return boxes
