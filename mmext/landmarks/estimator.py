"""Top-down landmarks: boxes first, then the points of each in a crop of its own.

Newell et al., "Stacked Hourglass Networks", ECCV 2016; Xiao et al., "Simple Baselines for Human
Pose Estimation and Tracking", ECCV 2018.

Training sees crops, one a sample (:class:`.CropInstance`). Tests see whole images: boxes come from
the data, from a detector or are the whole image, and the crops of all images of a batch go through
the network together.

Shapes: B images, M crops of all of them, K points.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import OptSampleList, SampleList
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.crops import crops_around, from_crops
from mmext.functional.keypoints import flip_permutation
from mmext.landmarks.transforms import sample_crops
from mmext.registry import MODELS

BOX_SOURCES = ('auto', 'data', 'detector', 'image')


@MODELS.register_module()
class CropLandmarkEstimator(BaseDetector):
    """A backbone and a head of landmarks on crops of objects.

    Args:
        backbone: any of mmdet's, or :class:`.StackedHourglass`.
        head: :class:`.HeatmapHead`, :class:`.RegressionHead`, :class:`.SimCCHead`,
            :class:`.IntegralHead`; their ``input_size`` is filled in.
        neck: any of mmdet's.
        input_size: width and height of the crops, px.
        margin: sides of a crop relative to its box.
        flip_pairs: points that swap in a flipped crop; for ``test_cfg.flip``.
        mean, std: of the pixels of crops, 0..255, in the order of the data preprocessor, which is
            to leave pixels as they are.
        detector: config of any detector of mmdet's or of ours, with its own ``data_preprocessor``;
            it finds the boxes in tests and is not trained. It sees the images as the test pipeline
            gives them, so that the sizes it wants are the pipeline's business.
        detector_checkpoint: its weights, a file or an address. They are no part of the weights of
            the estimator, so that one that was trained alone can be given any detector.
        test_cfg: ``flip`` (True): each crop is seen with its flipped image. ``boxes`` (``'auto'``):
            ``'data'`` takes those of the samples, ``'detector'``, ``'image'`` the whole image; auto
            takes the first of detector, data and image that is there. ``score_thr`` (0.3) and
            ``labels`` (all) of the detector's boxes. ``max_crops`` (64) that go through the network
            at once. ``score_points`` (none): ``'all'`` or numbers of points, by whose mean score
            the score of an object is multiplied, as mmpose ranks persons for OKS.
        train_cfg, data_preprocessor, init_cfg: of mmdet.

    Raises:
        InputError: a data preprocessor with mean and std; ``boxes='detector'`` without one, or one
            without weights; crops that are flipped without ``flip_pairs``.
    """

    def __init__(
        self,
        backbone: ConfigType,
        head: ConfigType,
        neck: OptConfigType = None,
        input_size: tuple[int, int] = (256, 256),
        margin: float = 1.25,
        flip_pairs: Sequence[Sequence[int]] | None = None,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        detector: OptConfigType = None,
        detector_checkpoint: str | None = None,
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        data_preprocessor: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if getattr(self.data_preprocessor, '_enable_normalize', False):
            raise InputError(
                'data_preprocessor of CropLandmarkEstimator: leave mean and std out of it and '
                'state them for the model itself; crops are normalized, not images'
            )
        self.input_wh = int(input_size[0]), int(input_size[1])
        self.margin, self.train_cfg = margin, train_cfg
        self.test_cfg = {'flip': True, **(test_cfg or {})}
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck is not None else None
        self.head = MODELS.build({'input_size': self.input_wh, **head})
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.detector = None
        if detector is not None:
            self.detector = _trained_detector(detector, detector_checkpoint)
            self.register_state_dict_post_hook(_leave_detector_out)
            self.register_load_state_dict_pre_hook(_keep_detector)
        self._check_options()
        self.permutation = None
        if flip_pairs is not None:
            self.permutation = torch.from_numpy(flip_permutation(self.head.num_points, flip_pairs))
        if self.test_cfg['flip'] and self.permutation is None:
            raise InputError(
                'flip_pairs: state which points swap in a flipped crop (none: an empty list), or '
                'set test_cfg.flip=False'
            )

    def train(self, mode: bool = True) -> 'CropLandmarkEstimator':
        """As of the base class; the detector stays in evaluation."""
        super().train(mode)
        if self.detector is not None:
            self.detector.eval()
        return self

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Levels ``[M, C, h, w]`` of crops ``[M, 3, height, width]``, 0..255.

        Raises:
            InputError: crops of another size.
        """
        size = batch_inputs.shape[3], batch_inputs.shape[2]
        if size != self.input_wh:
            raise InputError(
                f'CropLandmarkEstimator: expected crops of input_size {self.input_wh}, got {size} '
                '(width, height): the train pipeline needs mmext.CropInstance(size=input_size)'
            )
        crops = (batch_inputs.float() - self.mean) / self.std
        features = self.backbone(crops)
        return tuple(features if self.neck is None else self.neck(features))

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of the head.

        Args:
            batch_inputs: crops ``[M, 3, height, width]``, 0..255.
            batch_data_samples: each with one of ``gt_instances``: ``keypoints`` ``[1, K, 2]`` in
                px of its crop, ``keypoints_visible`` ``[1, K]``.

        Raises:
            InputError: not one object a crop, or another number of points.
        """
        points, visible = [], []
        for sample in batch_data_samples:
            gt = sample.gt_instances
            shape = list(gt.keypoints.shape) if 'keypoints' in gt else 'none'
            if shape != [1, self.head.num_points, 2]:
                raise InputError(
                    f'gt_instances.keypoints: expected [1, {self.head.num_points}, 2], got {shape} '
                    '(pipeline: mmext.LoadKeypoints, mmext.CropInstance, mmext.PackKeypointInputs)'
                )
            points.append(gt.keypoints)
            visible.append(gt.keypoints_visible)
        features = self.extract_feat(batch_inputs)
        in_sides = torch.cat(points).float()
        in_sides = in_sides / in_sides.new_tensor(self.input_wh)
        losses: dict[str, Tensor] = self.head.loss(features, in_sides, torch.cat(visible))
        return losses

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """The landmarks of the objects of each image.

        Args:
            batch_inputs: whole images ``[B, 3, H, W]``, 0..255, padded to one size.
            batch_data_samples: the image meta; ``pred_instances`` are added to them: ``bboxes``,
                ``scores``, ``labels`` of the boxes, ``keypoints`` ``[n, K, 2]``,
                ``keypoint_scores`` ``[n, K]``.
            rescale: whether places are in pixels of the original images.
        """
        found = self._boxes(batch_inputs, batch_data_samples)
        counts = [len(objects) for objects in found]
        image_index = torch.arange(len(found)).repeat_interleave(torch.tensor(counts))
        boxes = torch.cat([objects.bboxes for objects in found])
        width, height = self.input_wh
        crops = crops_around(boxes, image_index.to(boxes.device), self.margin, width / height)
        chunk = int(self.test_cfg.get('max_crops', 64))
        parts = [self._points(batch_inputs, part) for part in crops.split(chunk)]
        points, scores = (torch.cat(values) for values in zip(*parts, strict=True))
        pixels = from_crops(points - 0.5, crops)
        for objects, sample, image_points, image_scores in zip(
            found, batch_data_samples, pixels.split(counts), scores.split(counts), strict=True
        ):
            objects.keypoints, objects.keypoint_scores = image_points, image_scores
            if self._scoring:
                objects.scores = objects.scores * image_scores[:, self._scoring].mean(1)
            if rescale:
                factor = boxes.new_tensor(sample.metainfo.get('scale_factor', (1.0, 1.0)))
                objects.bboxes = objects.bboxes / factor.repeat(2)
                objects.keypoints = objects.keypoints / factor
        return self.add_pred_to_datasample(batch_data_samples, found)

    def _forward(
        self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None
    ) -> tuple[Tensor, ...]:
        """The head's raw outputs for crops ``[M, 3, height, width]``, 0..255."""
        outputs: tuple[Tensor, ...] = self.head(self.extract_feat(batch_inputs))
        return outputs

    def _points(self, images: Tensor, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Points ``[M, K, 2]`` in sides and scores ``[M, K]`` of crops."""
        if not len(crops):
            shape = (0, self.head.num_points)
            return images.new_zeros((*shape, 2), dtype=torch.float32), images.new_zeros(shape)
        pixels = sample_crops(images, crops, self.input_wh)
        features = self.extract_feat(pixels)
        points: tuple[Tensor, Tensor]
        if not self.test_cfg['flip']:
            points = self.head.predict(features)
        else:
            assert self.permutation is not None
            flipped = self.extract_feat(pixels.flip(3))
            points = self.head.predict(features, flipped, self.permutation.to(pixels.device))
        return points

    def _boxes(self, images: Tensor, samples: SampleList) -> list[InstanceData]:
        """The boxes of each image, in px of the input, with scores and labels."""
        source = self.test_cfg.get('boxes', 'auto')
        if source == 'detector' or (source == 'auto' and self.detector is not None):
            return self._detected(images, samples)
        return [self._given(sample, source, images.device) for sample in samples]

    def _given(self, sample: Any, source: str, device: torch.device) -> InstanceData:
        gt = sample.get('gt_instances')
        if source != 'image' and gt is not None and 'bboxes' in gt:
            boxes = getattr(gt.bboxes, 'tensor', gt.bboxes).to(device).float()
            labels = gt.labels.to(device)
            # test pipelines load annotations after Resize, in px of the original image
            factor = boxes.new_tensor(sample.metainfo.get('scale_factor', (1.0, 1.0)))
            boxes = boxes * factor.repeat(2)
        elif source == 'data':
            raise InputError(
                f'{sample.metainfo.get("img_path", "image")}: no boxes in the data: the test '
                "pipeline needs LoadAnnotations(with_bbox=True), or set test_cfg.boxes='image'"
            )
        else:
            height, width = sample.metainfo['img_shape'][:2]
            boxes = torch.tensor([[0.0, 0.0, width, height]], device=device)
            labels = torch.zeros(1, dtype=torch.long, device=device)
        return InstanceData(bboxes=boxes, scores=boxes.new_ones(len(boxes)), labels=labels)

    def _detected(self, images: Tensor, samples: SampleList) -> list[InstanceData]:
        """What the detector finds, through its own preprocessor."""
        assert self.detector is not None
        if getattr(self.data_preprocessor, '_channel_conversion', False):
            images = images.flip(1)
        sizes = [sample.metainfo['img_shape'][:2] for sample in samples]
        inputs = [image[:, :h, :w] for image, (h, w) in zip(images, sizes, strict=True)]
        plain = [type(sample)(metainfo=dict(sample.metainfo)) for sample in samples]
        data = self.detector.data_preprocessor(dict(inputs=inputs, data_samples=plain), False)
        results = self.detector.predict(data['inputs'], data['data_samples'], rescale=False)
        threshold, labels = self.test_cfg.get('score_thr', 0.3), self.test_cfg.get('labels')
        found = []
        for result in results:
            objects = result.pred_instances
            kept = objects.scores >= threshold
            if labels is not None:
                kept &= torch.isin(objects.labels, objects.labels.new_tensor(list(labels)))
            objects = objects[kept]
            boxes = getattr(objects.bboxes, 'tensor', objects.bboxes).float()
            found.append(InstanceData(bboxes=boxes, scores=objects.scores, labels=objects.labels))
        return found

    def _check_options(self) -> None:
        source = self.test_cfg.get('boxes', 'auto')
        if source not in BOX_SOURCES:
            raise InputError(f'test_cfg.boxes: expected one of {BOX_SOURCES}, got {source!r}')
        if source == 'detector' and self.detector is None:
            raise InputError("test_cfg.boxes='detector': the model has no detector")
        points = self.test_cfg.get('score_points', ())
        points = range(self.head.num_points) if points == 'all' else points
        self._scoring = [points] if isinstance(points, int) else list(points)
        if not set(self._scoring) <= set(range(self.head.num_points)):
            raise InputError(
                f"test_cfg.score_points: expected 'all' or numbers from 0 to "
                f'{self.head.num_points - 1}, got {points!r}'
            )
        if self.test_cfg.get('max_crops', 64) < 1:
            raise InputError(
                f'test_cfg.max_crops: expected at least 1, got {self.test_cfg["max_crops"]}'
            )


def _trained_detector(config: ConfigType, checkpoint: str | None) -> Any:
    """A detector with its weights, which do not change.

    Raises:
        InputError: no weights, or of another model.
    """
    if not checkpoint:
        raise InputError('detector_checkpoint: state the weights of the detector')
    detector = MODELS.build(config)
    try:
        load_checkpoint(detector, checkpoint, map_location='cpu', strict=True)
    except (OSError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise InputError(f'detector_checkpoint {checkpoint}: {reason}') from error
    return detector.requires_grad_(False).eval()


def _leave_detector_out(
    module: Any, state: dict[str, Tensor], prefix: str, local_metadata: Any
) -> None:
    for key in [key for key in state if key.startswith(f'{prefix}detector.')]:
        del state[key]


def _keep_detector(module: Any, state: dict[str, Tensor], prefix: str, *others: Any) -> None:
    """What is loaded says nothing of the detector: it keeps its weights."""
    own = module.detector.state_dict()
    state.update({f'{prefix}detector.{key}': value for key, value in own.items()})
