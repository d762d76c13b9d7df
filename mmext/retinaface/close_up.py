"""A refinement stage: every face that was found is seen again in a crop, all faces at one size.

A cell of the pyramid has to hold the position, size, rotation and expression of all faces around
it, and a small face is two or three cells wide. Here a face fills the crop, whatever its size, and
a few small convolutions see it. On the generated faces its landmarks are better after 600 steps
than those of the head after 3000. Cascades of this kind go back to Sun et al., "Deep convolutional
network cascade for facial point detection", CVPR 2013. The stage is not part of RetinaFace and is
off unless a config asks for it.

Testing takes two passes: the second rotates each crop upright by the eyes of the first. Training
takes two crops of each annotated face: one as a detector may find it, and one about upright by the
annotated eyes. Both are shifted, scaled and rotated at random. No gradient goes to the detector.

Shapes: M crops, K landmarks, F features, A attributes, V vertices.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmcv.ops import roi_align_rotated
from mmdet.utils import InstanceList
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.functional.crops import crops_around, from_crops, jittered, to_crops, upright
from mmext.registry import MODELS
from mmext.renamed_keys import accept_old_keys
from mmext.retinaface.encoding import Encoding
from mmext.retinaface.face_fields import pad_annotations
from mmext.retinaface.head import means
from mmext.retinaface.multibox_loss import smooth_l1
from mmext.retinaface.sparse_tasks import SparseTasks, Sums

_EYES = [0, 1]
_BETA = 0.01  # of the smooth L1, in sides of the crop: errors of a percent still pull


@MODELS.register_module()
class CloseUp(BaseModule):
    """Landmarks, and attributes and mesh if wanted, of faces whose boxes are known.

    Args:
        num_landmarks: K, of which the first two are the eyes.
        attributes: as of :class:`~mmext.retinaface.head.RetinaFaceHead`.
        mesh: as of :class:`~mmext.retinaface.head.RetinaFaceHead`.
        size_px: side of the crops, divisible by 8.
        widths: channels of the three stages, each of which halves the size.
        hidden_channels: F.
        margin: side of a crop, relative to the longer side of the box.
        shift: random shift of the crops in training, see
            :func:`mmext.functional.crops.jittered`.
        scale: random scale of the crops in training.
        rotation: random rotation of the crops of the first pass in training; those of the second
            pass have half of it.
        landmark_weight: of the landmark loss, which is in sides of the crop.

    Raises:
        InputError: a size that the stages cannot halve.
    """

    @accept_old_keys(turn='rotation')
    def __init__(
        self,
        num_landmarks: int = 5,
        attributes: Mapping[str, Any] | None = None,
        mesh: Mapping[str, Any] | None = None,
        size_px: int = 48,
        widths: Sequence[int] = (24, 48, 64),
        hidden_channels: int = 128,
        margin: float = 1.25,
        shift: float = 0.06,
        scale: float = 0.1,
        rotation: float = 0.2,
        landmark_weight: float = 4.0,
    ) -> None:
        super().__init__()
        shrink = 2 ** len(widths)
        if size_px % shrink:
            raise InputError(f'size_px: expected a multiple of {shrink}, got {size_px}')
        self.num_landmarks, self.size_px, self.margin = num_landmarks, size_px, margin
        self.shift, self.scale, self.rotation = shift, scale, rotation
        self.landmark_weight = landmark_weight
        layers = dict(padding=1, norm_cfg=dict(type='BN'))
        stages: list[nn.Module] = []
        for before, width in zip((3, *widths[:-1]), widths, strict=True):
            stages += [ConvModule(before, width, 3, stride=2, **layers)]
            stages += [ConvModule(width, width, 3, **layers)]
        cells = (size_px // shrink) ** 2
        # without a norm the hidden units die at the detector's learning rates
        hidden = nn.Linear(cells * widths[-1], hidden_channels), nn.LayerNorm(hidden_channels)
        self.trunk = nn.Sequential(*stages, nn.Flatten(), *hidden, nn.ReLU())
        self.landmarks = nn.Linear(hidden_channels, 2 * num_landmarks)
        self.details = SparseTasks(hidden_channels, 1, Encoding(), attributes, mesh)

    def loss(self, images: Tensor, batch_gt_instances: InstanceList) -> dict[str, Tensor]:
        """The losses at the annotated faces.

        Args:
            images: the network input ``[N, 3, H, W]``.
            batch_gt_instances: as for the head; a field that some image lacks adds nothing.

        Returns:
            ``loss_close_landmark``, ``loss_close_attribute``, ``loss_close_mesh_vertex``,
            ``loss_close_mesh_edge``: those of the tasks that are on.
        """
        padded_gt = pad_annotations(batch_gt_instances)
        counts = [len(faces) for faces in batch_gt_instances]
        image_index, face_index = _face_indices(counts, images.device)
        gt = {name: field[image_index, face_index] for name, field in padded_gt.items()}
        crops = crops_around(gt['bboxes'], image_index, self.margin)
        crops = self._training_crops(crops, gt)  # [2M, 6]
        matched_gt = {name: torch.cat((field, field)) for name, field in gt.items()}
        for name in matched_gt.keys() & {'keypoints', 'mesh'}:
            matched_gt[name] = to_crops(matched_gt[name], crops)
        features = self._features(images, crops)
        sums: Sums = {'loss_landmark': self._landmark_loss(features, matched_gt)}
        sums |= self.details.losses(*_as_levels(features), matched_gt)
        return {name.replace('_', '_close_', 1): loss for name, loss in means(sums).items()}

    def refine(
        self,
        images: Tensor,
        results: InstanceList,
        with_attributes: bool = True,
        with_mesh: bool = True,
    ) -> None:
        """Replace landmarks, meshes and attributes of faces by those of this stage, in place.

        Args:
            images: the network input ``[N, 3, H, W]``.
            results: per image the faces, with ``bboxes`` ``[n, 4]`` in pixels of ``images``.
            with_attributes: False leaves the attributes as they are.
            with_mesh: False leaves the meshes as they are.
        """
        counts = [len(faces) for faces in results]
        image_index, _ = _face_indices(counts, images.device)
        boxes = torch.cat([faces.bboxes for faces in results])
        crops = crops_around(boxes, image_index, self.margin)
        for _ in range(2):  # in the second pass upright
            features = self._features(images, crops)
            keypoints = from_crops(self._landmarks(features), crops)
            crops_used = crops
            crops = upright(crops, keypoints[:, _EYES[0]], keypoints[:, _EYES[1]])
        fields = self.details.predict(*_as_levels(features), with_attributes, with_mesh)
        if 'mesh' in fields:
            fields['mesh'] = from_crops(fields['mesh'], crops_used)
        for name, values in {**fields, 'keypoints': keypoints}.items():
            for faces, image_values in zip(results, values.split(counts), strict=True):
                faces.set_field(image_values, name)

    def _training_crops(self, crops: Tensor, gt: Mapping[str, Tensor]) -> Tensor:
        """Crops ``[2M, 6]``: those of the first pass, then those of the second."""
        upright_crops = crops
        if 'keypoints' in gt:
            eyes = torch.nan_to_num(gt['keypoints'][:, _EYES])  # [M, 2, 2]
            annotated = (gt['keypoints_visible'][:, _EYES] > 0).all(dim=1, keepdim=True)
            rotated = upright(crops, eyes[:, 0], eyes[:, 1])
            upright_crops = torch.where(annotated, rotated, crops)
        return torch.cat(
            (
                jittered(crops, self.shift, self.scale, self.rotation),
                jittered(upright_crops, self.shift, self.scale, self.rotation / 2),
            )
        )

    def _features(self, images: Tensor, crops: Tensor) -> Tensor:
        """What the trunk sees in each crop, ``[M, F]``."""
        if not len(crops):  # norms need something to see, and all weights a gradient
            return self._features(images, crops.new_tensor([[0, 0, 0, 8, 8, 0]]))[:0]
        size = (self.size_px, self.size_px)
        # scale 1, as many samples as a pixel of the crop covers, pixel centers at halves
        pixels = roi_align_rotated(images.float(), crops.float(), size, 1.0, 0, True, False)
        features: Tensor = self.trunk(pixels)
        return features

    def _landmarks(self, features: Tensor) -> Tensor:
        """Landmarks ``[M, K, 2]`` in the frames of the crops."""
        return self.landmarks(features).float().unflatten(1, (self.num_landmarks, 2))

    def _landmark_loss(
        self, features: Tensor, matched_gt: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor | int]:
        """Sum over the annotated points, and the number of faces that have one."""
        landmarks = self._landmarks(features)
        if 'keypoints' not in matched_gt:
            return landmarks.sum() * 0, 0
        annotated = matched_gt['keypoints_visible'] > 0  # [M, K]
        distance = smooth_l1(landmarks, matched_gt['keypoints'], _BETA, annotated[..., None])
        return self.landmark_weight * distance, annotated.any(dim=1).sum()


def _face_indices(counts: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Of every face its image and its index in that image, ``[M]`` each."""
    image_index = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    face_index = torch.cat([torch.arange(0), *(torch.arange(count) for count in counts)])
    return image_index.to(device), face_index.to(device)


def _as_levels(features: Tensor) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
    """Levels, image index, prior index and priors, as :class:`SparseTasks` takes them.

    A crop is an image of one cell with one prior. The prior is the unit square, because points
    are in sides of the crop already.
    """
    image_index = torch.arange(len(features), device=features.device)
    priors = features.new_tensor([0.0, 0.0, 1.0, 1.0]).float().expand(len(features), 4)
    return [features[:, :, None, None]], image_index, torch.zeros_like(image_index), priors
