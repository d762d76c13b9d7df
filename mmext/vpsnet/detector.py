"""VPSNet: UPSNet over time.

Source: Kim et al., "Video Panoptic Segmentation", CVPR 2020. A fuse neck adds the features of the
frame before, aligned along the optical flow, to the pyramid; a track head tells which instance is
which object of the frames before. Each of them may be left out: with both it is the paper's
"FuseTrack", with neither UPSNet on single frames.

Deviations: the first frame of a video, its own reference, has a flow of zero instead of an
estimated one; any number of frames per batch, in training and in streaming.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import InstanceList, OptConfigType
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.layers.frame_memory import FrameMemory, VideoOrder
from mmext.registry import MODELS, TASK_UTILS
from mmext.upsnet.detector import UPSNet

Inputs = Tensor | dict[str, Tensor]


@MODELS.register_module()
class VPSNet(UPSNet):
    """UPSNet with a memory of the video.

    Learns from pairs of frames: ``inputs`` with ``img`` and ``ref_img``, data samples with
    ``gt_instances.instances_ids`` and ``ref_gt_instances`` (``bboxes``, ``instances_ids``), see
    :class:`~mmext.vpsnet.data_preprocessor.VideoPairDataPreprocessor`. Predicts frame by frame, in
    the order of the video: the meta's ``video_id`` and ``frame_id`` tell where a video begins.

    Args:
        fuse_neck: a neck of :mod:`mmext.vpsnet.fuse_neck`, or None.
        optical_flow: flow between frames for it, see :mod:`mmext.layers.optical_flow`.
        track_head: a :class:`~mmext.vpsnet.track_head.TrackHead`, or None.
        tracker: a :class:`~mmext.vpsnet.tracker.VPSNetTracker`. Without a track head it compares
            boxes and labels only. Without a tracker instances are numbered anew in every frame.
        **kwargs: as for :class:`~mmext.upsnet.detector.UPSNet`.
    """

    def __init__(
        self,
        *,
        fuse_neck: OptConfigType = None,
        optical_flow: OptConfigType = dict(type='mmext.DISFlow'),  # noqa: B006 - read only
        track_head: OptConfigType = None,
        tracker: OptConfigType = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if track_head and not tracker:
            raise InputError("tracker: a track_head needs one, dict(type='mmext.VPSNetTracker')")
        self.fuse_neck = MODELS.build(fuse_neck) if fuse_neck else None
        self.optical_flow: Any = MODELS.build(optical_flow) if fuse_neck else None
        self.track_head = MODELS.build(track_head) if track_head else None
        self.tracker = TASK_UTILS.build(tracker) if tracker else None
        self._memory = FrameMemory()
        self._order = VideoOrder()

    def reset(self) -> None:
        """Forget the video: the next frame begins one."""
        self._memory.reset()
        self._order.reset()
        if self.tracker is not None:
            self.tracker.reset()

    def train(self, mode: bool = True) -> 'VPSNet':
        """Set the mode as every module does, and forget the video: its features are outdated."""
        self.reset()
        return super().train(mode)

    def loss(self, batch_inputs: Inputs, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of UPSNet on the key frames, and the match loss.

        Args:
            batch_inputs: normalized key and reference frames, ``img`` and ``ref_img``
                ``[N, 3, H, W]``. Without fuse neck and track head the key frames are enough.
            batch_data_samples: see the class.

        Returns:
            Scalars by name; what is back-propagated starts with ``loss``.

        Raises:
            InputError: if a model that learns from pairs gets single frames, or ids are missing.
        """
        if self.fuse_neck is None and self.track_head is None:
            frames = batch_inputs['img'] if isinstance(batch_inputs, dict) else batch_inputs
            return super().loss(frames, batch_data_samples)
        if not isinstance(batch_inputs, dict):
            raise InputError(
                'inputs: a VPSNet with fuse_neck or track_head learns from pairs of frames, '
                'dict(img=…, ref_img=…); got single frames'
            )
        frames, references = batch_inputs['img'], batch_inputs['ref_img']
        # one pass: the same weights see both, and gradients flow through both
        both = self.extract_feat(torch.cat((frames, references)))
        levels, ref_levels = (
            tuple(level[half] for level in both)
            for half in (slice(len(frames)), slice(len(frames), None))
        )
        features = levels
        if self.fuse_neck is not None:
            metas = [sample.metainfo for sample in batch_data_samples]
            flow = self._flow(frames, references, metas)
            gathered, ref_gathered = map(self.fuse_neck.gather, (levels, ref_levels))
            features = self.fuse_neck(levels, gathered, ref_gathered, flow)
        losses, proposals = self._rpn_loss(features, batch_data_samples)
        losses.update(self._roi_loss(features, ref_levels, proposals, batch_data_samples))
        losses.update(self._segmentation_loss(features, batch_data_samples))
        return losses

    def predict(
        self, batch_inputs: Inputs, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """The predictions of UPSNet, with ids that an object keeps through the video.

        Args:
            batch_inputs: normalized frames ``[N, 3, H, W]`` in the order of the video. Each is
                fused with the previous frame, which may be one of the previous call. Or pairs of
                frames, ``img`` and ``ref_img``, which are fused with each other.
            batch_data_samples: the frames' meta with ``video_id`` and ``frame_id``.
            rescale: predict at the size of the original images, else of the network input.

        Returns:
            The data samples as UPSNet returns them. With a tracker the instance numbers in
            ``pred_panoptic_seg`` are the ids of the objects, and ``pred_instances.instances_ids``
            ``[n]`` has them too, 0 for an instance that is not in the panoptic map.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        if isinstance(batch_inputs, dict):
            features = self._features_of_pairs(batch_inputs['img'], batch_inputs['ref_img'], metas)
        else:
            features = self._features_of_stream(batch_inputs, metas)
        return self._predict_from_features(features, batch_data_samples, rescale)

    def _forward(
        self, batch_inputs: Inputs, batch_data_samples: SampleList | None = None
    ) -> tuple[Tensor, ...]:
        """Raw outputs as of UPSNet, of single frames."""
        frames = batch_inputs['img'] if isinstance(batch_inputs, dict) else batch_inputs
        return super()._forward(frames, batch_data_samples)

    def _features_of_pairs(
        self, frames: Tensor, references: Tensor, metas: list[dict]
    ) -> tuple[Tensor, ...]:
        levels = self.extract_feat(frames)
        if self.fuse_neck is None:
            return levels
        flow = self._flow(frames, references, metas)
        gather = self.fuse_neck.gather
        return self.fuse_neck(levels, gather(levels), gather(self.extract_feat(references)), flow)

    def _features_of_stream(self, frames: Tensor, metas: list[dict]) -> tuple[Tensor, ...]:
        levels = self.extract_feat(frames)
        if self.fuse_neck is None:
            return levels
        gathered = self.fuse_neck.gather(levels)
        (*references, ref_images), ref_frame_ids = self._memory.references(
            (*gathered, frames), metas
        )
        flow = torch.zeros_like(frames[:, :2], dtype=torch.float32)  # [N, 2, H, W]
        if ref_frame_ids:
            has_reference = list(ref_frame_ids)
            pairs = [dict(metas[i], ref_frame_id=ref_id) for i, ref_id in ref_frame_ids.items()]
            flow[has_reference] = self._flow(
                frames[has_reference], ref_images[has_reference], pairs
            )
        return self.fuse_neck(levels, gathered, references, flow)

    def _flow(self, frames: Tensor, references: Tensor, metas: Sequence[dict]) -> Tensor:
        """Flow ``[N, 2, H, W]`` in pixels of the network input."""
        return self.optical_flow(self._images(frames), self._images(references), metas)

    def _images(self, inputs: Tensor) -> Tensor:
        """RGB images 0..255 from normalized inputs, ``[N, 3, H, W]`` both."""
        preprocessor = self.data_preprocessor
        images = inputs.float()
        if preprocessor._enable_normalize:
            images = images * preprocessor.std + preprocessor.mean
        # images are loaded as BGR; the preprocessor may have made them RGB
        return images if preprocessor._channel_conversion else images.flip(1)

    def _roi_loss(
        self,
        features: tuple[Tensor, ...],
        ref_levels: tuple[Tensor, ...],
        proposals: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        """Box, mask and match losses.

        The positive RoIs of the box branch, in the fused features, are matched with the ground
        truth boxes of the reference frames in their own features, as released.
        """
        if self.track_head is None:
            return self.roi_head.loss(features, proposals, batch_data_samples)
        _check_ids(batch_data_samples)
        head = self.roi_head
        gt_instances = [sample.gt_instances for sample in batch_data_samples]
        samples = self._sample_rois(features, proposals, batch_data_samples)
        boxes = head.bbox_loss(features, samples)
        masks = head.mask_loss(features, samples, boxes['bbox_feats'], gt_instances)
        per_image = boxes['bbox_feats'].split([len(rois.priors) for rois in samples])
        num_positives = [len(rois.pos_priors) for rois in samples]  # they come first
        positives = torch.cat(
            [rois[:count] for rois, count in zip(per_image, num_positives, strict=True)]
        )
        ref_gt_instances = [sample.ref_gt_instances for sample in batch_data_samples]
        match = self.track_head.loss_by_feat(
            self.track_head(positives).split(num_positives),
            self._embed(ref_levels, [get_box_tensor(image.bboxes) for image in ref_gt_instances]),
            [
                image.instances_ids[rois.pos_assigned_gt_inds]
                for image, rois in zip(gt_instances, samples, strict=True)
            ],
            [image.instances_ids for image in ref_gt_instances],
        )
        return {**boxes['loss_bbox'], **masks['loss_mask'], **match}

    def _sample_rois(
        self,
        features: tuple[Tensor, ...],
        proposals: InstanceList,
        batch_data_samples: SampleList,
    ) -> list[Any]:
        """The RoIs that the box branch learns from, sampled as the host's head does."""
        results = []
        for index, (image, sample) in enumerate(zip(proposals, batch_data_samples, strict=True)):
            image.priors = image.pop('bboxes')
            assigned = self.roi_head.bbox_assigner.assign(
                image, sample.gt_instances, sample.get('ignored_instances')
            )
            image_levels = [level[index][None] for level in features]
            results.append(
                self.roi_head.bbox_sampler.sample(
                    assigned, image, sample.gt_instances, feats=image_levels
                )
            )
        return results

    def _embed(self, levels: tuple[Tensor, ...], boxes: list[Tensor]) -> list[Tensor]:
        """Embeddings ``[n_i, D]`` of boxes ``[n_i, 4]``, image by image; without a head D is 0."""
        if self.track_head is None:
            return [image.new_zeros(len(image), 0) for image in boxes]
        extractor = self.roi_head.bbox_roi_extractor
        roi_features = extractor(levels[: extractor.num_inputs], bbox2roi(boxes))
        return list(self.track_head(roi_features).split([len(image) for image in boxes]))

    def _assign_instance_ids(
        self,
        features: tuple[Tensor, ...],
        segments: InstanceList,
        detections: InstanceList,
        metas: list[dict],
    ) -> None:
        """Track the segments, and give each detection the id of the segment of the same box."""
        if self.tracker is None:
            return
        embeddings = self._embed(features, [image.bboxes for image in segments])
        for image_segments, image_embeddings, image_detections, meta in zip(
            segments, embeddings, detections, metas, strict=True
        ):
            if not self._order.follows(meta):
                self.tracker.reset()
            image_segments.instances_ids = self.tracker.track(image_segments, image_embeddings)
            image_detections.instances_ids = _ids_of_equals(image_detections, image_segments)


def _ids_of_equals(detections: InstanceData, segments: InstanceData) -> Tensor:
    """The id of the segment with the box and label of each detection; int64 ``[n]``, 0 for none.

    Both were selected from the same candidates, so that equal boxes are equal to the last bit. NMS
    has left no two candidates with the same box and label.
    """
    equal = (detections.bboxes[:, None] == segments.bboxes).all(dim=-1)
    equal &= detections.labels[:, None] == segments.labels
    return (equal * segments.instances_ids).sum(dim=1)


def _check_ids(batch_data_samples: SampleList) -> None:
    for sample in batch_data_samples:
        for name in ('gt_instances', 'ref_gt_instances'):
            if 'instances_ids' not in sample.get(name, {}):
                raise InputError(
                    f'{name}.instances_ids: the track head learns from them, but '
                    f'{sample.get("img_path", "a data sample")} has none'
                )
