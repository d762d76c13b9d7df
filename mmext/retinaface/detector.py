"""RetinaFace: a single-stage detector of faces, with test-time augmentation if wanted.

Deng et al., arXiv 1905.00641 v2. Test-time augmentation predicts at several sizes, with and without
a flip. It is part of the model and not of a data pipeline, so that every tool of the host and ours
has it. Each view is the network input, resized and perhaps flipped; the faces of all views go
through one suppression.
"""

from typing import Any

from mmdet.models.detectors import SingleStageDetector
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from mmdet.utils import ConfigType
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.retinaface.face_fields import flip_faces, scale_faces
from mmext.retinaface.head import suppress
from mmext.retinaface.views import views_of

_SPARSE_TASKS = ('attributes', 'mesh')


@MODELS.register_module()
class RetinaFace(SingleStageDetector):
    """mmdet's single-stage base with test-time augmentation and a refinement stage.

    Args:
        flip_pairs: landmarks that swap in a flipped image.
        mesh_flip_pairs: likewise for mesh vertices.
        close_up: a refinement stage, :class:`mmext.retinaface.close_up.CloseUp`. It learns beside
            the head, and its predictions replace those of the head.
        **kwargs: ``backbone``, ``neck``, ``bbox_head``, ``train_cfg``, ``test_cfg``,
            ``data_preprocessor``, ``init_cfg`` as in mmdet. ``test_cfg.views`` turns test-time
            augmentation on; it holds ``short_edges_px`` (of the resized input; ``None`` in it
            keeps the size), ``max_long_edge_px`` and ``flip``.
    """

    def __init__(
        self,
        *,
        flip_pairs: tuple[tuple[int, int], ...] = ((0, 1), (3, 4)),
        mesh_flip_pairs: tuple[tuple[int, int], ...] = (),
        close_up: ConfigType | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.close_up = MODELS.build(close_up) if close_up else None
        self.flip_pairs = dict(keypoints=flip_pairs, mesh=mesh_flip_pairs)
        test_cfg = self.test_cfg or {}  # without one the model can be trained
        details, views = self.bbox_head.details, test_cfg.get('views') or {}
        has_mesh = details.mesh_branch is not None and test_cfg.get('mesh', True)
        if views.get('flip') and has_mesh and not mesh_flip_pairs:
            raise InputError(
                'mesh_flip_pairs: needed to merge meshes with those of flipped images; '
                'else set mesh=False or views.flip=False in test_cfg'
            )

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of the head and of the refinement stage.

        Args:
            batch_inputs: normalized images, ``[N, 3, H, W]``.
            batch_data_samples: with ``gt_instances``, see
                :meth:`mmext.retinaface.head.RetinaFaceHead.loss_by_feat`.
        """
        losses = super().loss(batch_inputs, batch_data_samples)
        if self.close_up is not None:
            gt_instances, _, _ = unpack_gt_instances(batch_data_samples)
            losses |= self.close_up.loss(batch_inputs, gt_instances)
        return losses

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """The faces of every image.

        Args:
            batch_inputs: normalized images, ``[N, 3, H, W]``.
            batch_data_samples: the image meta; predictions are added to them.
            rescale: to pixels of the original images, else of the network input.

        Returns:
            The data samples with ``pred_instances``, see
            :meth:`mmext.retinaface.head.RetinaFaceHead.predict_by_feat`.
        """
        if self.test_cfg.get('views'):
            results = []
            for image, sample in zip(batch_inputs, batch_data_samples, strict=True):
                height, width = sample.metainfo['img_shape'][:2]
                view = image[None, :, :height, :width]
                results.append(self._predict_views(view, sample.metainfo))
        else:
            features = self.extract_feat(batch_inputs)
            results = self.bbox_head.predict(features, batch_data_samples, rescale=False)
        if self.close_up is not None:
            wanted = {f'with_{task}': self.test_cfg.get(task, True) for task in _SPARSE_TASKS}
            self.close_up.refine(batch_inputs, results, **wanted)
        if rescale:
            for faces, sample in zip(results, batch_data_samples, strict=True):
                scale_faces(faces, [1 / factor for factor in sample.metainfo['scale_factor'][:2]])
        return self.add_pred_to_datasample(batch_data_samples, results)

    def _predict_views(self, image: Tensor, meta: dict) -> InstanceData:
        """Test-time augmentation: the faces of one image ``[1, 3, h, w]``, in its pixels."""
        faces_of_views = []
        for view, flipped in views_of(image, self.test_cfg.views):
            features = self.extract_feat(view)
            (faces,) = self.bbox_head.predict_by_feat(
                *self.bbox_head(features), features, batch_img_metas=[meta], with_nms=False
            )
            if flipped:
                flip_faces(faces, view.shape[3], self.flip_pairs)
            factors = [image.shape[axis] / view.shape[axis] for axis in (3, 2)]
            scale_faces(faces, factors)
            faces_of_views.append(faces)
        return suppress(InstanceData.cat(faces_of_views), self.test_cfg)
