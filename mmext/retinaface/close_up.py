"""A second look at every face that was found: a crop of the image, all faces at one size.

What a cell of the pyramid knows of a face has to hold place, size, turn and expression of all faces
around it, and a small face is two or three cells wide. Here a face fills the picture, whatever its
size, and a few small convolutions see it: on the generated faces landmarks are better after 600
steps than those of the head after 3000. Cascades of that kind go back to Sun et al., "Deep
convolutional network cascade for facial point detection", CVPR 2013. Not part of RetinaFace; off
unless a config asks for it.

At test there are two passes: the second turns each crop upright by the eyes of the first. Training
takes the annotated faces for both, one crop as a detector may find them and one about upright by
the true eyes, both shifted, scaled and turned at random. No gradient goes to the detector.

Shapes: M crops, K landmarks, F features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmcv.ops import roi_align_rotated
from mmdet.utils import InstanceList
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.registry import MODELS
from mmext.retinaface.encoding import Encoding
from mmext.retinaface.face_crops import crops_around, from_crops, jittered, to_crops, upright
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
        mesh: likewise.
        size_px: side of the crops, divisible by 8.
        widths: channels of the three stages, each of which halves the size.
        hidden_channels: F.
        margin: side of a crop, relative to the longer side of the box.
        shift: deviation of the crops of training from the faces, see
            :func:`mmext.retinaface.face_crops.jittered`.
        scale: likewise.
        turn: likewise, of the first pass; of the second it is half of that.
        landmark_weight: of the landmark loss, which is in sides of the crop.

    Raises:
        ValueError: a size that the stages cannot halve.
    """

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
        turn: float = 0.2,
        landmark_weight: float = 4.0,
    ) -> None:
        super().__init__()
        shrink = 2 ** len(widths)
        if size_px % shrink:
            raise ValueError(f'size_px: expected a multiple of {shrink}, got {size_px}')
        self.num_landmarks, self.size_px, self.margin = num_landmarks, size_px, margin
        self.shift, self.scale, self.turn = shift, scale, turn
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
            batch_gt_instances: as for the head; fields that not all images have cost nothing.

        Returns:
            ``loss_close_landmark``, ``loss_close_attribute``, ``loss_close_mesh_vertex``,
            ``loss_close_mesh_edge``: those of the tasks that are on.
        """
        truth = pad_annotations(batch_gt_instances)
        image, face = _pairs([len(faces) for faces in batch_gt_instances], images.device)
        own = {name: field[image, face] for name, field in truth.items()}
        crops = self._training_crops(crops_around(own['bboxes'], image, self.margin), own)
        own = {name: torch.cat((field, field)) for name, field in own.items()}
        for name in own.keys() & {'keypoints', 'mesh'}:
            own[name] = to_crops(own[name], crops)
        features = self._features(images, crops)
        sums: Sums = {'loss_landmark': self._landmark_loss(features, own)}
        sums |= self.details.losses(*_as_levels(features), own)
        return {name.replace('_', '_close_', 1): loss for name, loss in means(sums).items()}

    def refine(
        self,
        images: Tensor,
        results: InstanceList,
        with_attributes: bool = True,
        with_mesh: bool = True,
    ) -> None:
        """Look again at found faces; ``keypoints`` and the other tasks' fields are set in place.

        Args:
            images: the network input ``[N, 3, H, W]``.
            results: per image with ``bboxes``, in pixels of ``images``.
            with_attributes: False leaves them as they are.
            with_mesh: likewise.
        """
        image, _ = _pairs([len(faces) for faces in results], images.device)
        crops = crops_around(torch.cat([faces.bboxes for faces in results]), image, self.margin)
        for _ in range(2):  # in the second pass upright
            features = self._features(images, crops)
            keypoints = from_crops(self._landmarks(features), crops)
            looked_at = crops
            crops = upright(crops, keypoints[:, _EYES[0]], keypoints[:, _EYES[1]])
        fields = self.details.predict(*_as_levels(features), with_attributes, with_mesh)
        if 'mesh' in fields:
            fields['mesh'] = from_crops(fields['mesh'], looked_at)
        for name, values in {**fields, 'keypoints': keypoints}.items():
            for faces, part in zip(results, values.split([len(f) for f in results]), strict=True):
                faces.set_field(part, name)

    def _training_crops(self, crops: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """Those of the first pass, then those of the second, ``[2M, 6]``."""
        level = crops
        if 'keypoints' in own:
            points = torch.nan_to_num(own['keypoints'][:, _EYES])  # [M, 2, 2]
            known = (own['keypoints_visible'][:, _EYES] > 0).all(dim=1, keepdim=True)
            level = torch.where(known, upright(crops, points[:, 0], points[:, 1]), crops)
        return torch.cat(
            (
                jittered(crops, self.shift, self.scale, self.turn),
                jittered(level, self.shift, self.scale, self.turn / 2),
            )
        )

    def _features(self, images: Tensor, crops: Tensor) -> Tensor:
        """What the trunk sees in each crop, ``[M, F]``."""
        if not len(crops):  # norms need something to see, and all weights a gradient
            return self._features(images, crops.new_tensor([[0, 0, 0, 8, 8, 0]]))[:0]
        size = (self.size_px, self.size_px)
        # scale 1, as many samples as a pixel of the crop covers, pixel centres at halves
        pixels = roi_align_rotated(images.float(), crops.float(), size, 1.0, 0, True, False)
        features: Tensor = self.trunk(pixels)
        return features

    def _landmarks(self, features: Tensor) -> Tensor:
        """In the frames of the crops, ``[M, K, 2]``."""
        return self.landmarks(features).float().unflatten(1, (self.num_landmarks, 2))

    def _landmark_loss(
        self, features: Tensor, own: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor | int]:
        """Sum over the annotated points, and the number of faces that have one."""
        found = self._landmarks(features)
        if 'keypoints' not in own:
            return found.sum() * 0, 0
        known = own['keypoints_visible'] > 0  # [M, K]
        distance = smooth_l1(found, own['keypoints'], _BETA, known[..., None])
        return self.landmark_weight * distance, known.any(dim=1).sum()


def _pairs(counts: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Numbers of the image and of the face in it, ``[M]`` each, from the faces of each image."""
    image = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    face = torch.cat([torch.arange(0), *(torch.arange(count) for count in counts)])
    return image.to(device), face.to(device)


def _as_levels(features: Tensor) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
    """Levels, image, prior and its place, as :class:`SparseTasks` takes them.

    A crop is an image of one cell with one prior, of which points are in units already.
    """
    image = torch.arange(len(features), device=features.device)
    place = features.new_tensor([0.0, 0.0, 1.0, 1.0]).float().expand(len(features), 4)
    return [features[:, :, None, None]], image, torch.zeros_like(image), place
