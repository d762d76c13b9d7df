"""RoI heads that put the embedding of each detection into the results, and learn from its words.

The host forgets which region a detection came from, so the final boxes are pooled once more, as for
masks. What the classifier of the (last) box head makes of them are the embeddings, or what a
:class:`.SearchHead` does.

Shape legend: n regions, D numbers, W words, C classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor, scale_boxes
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.language.embedding_classifier import EmbeddingClassifier
from mmext.language.partial_labels import fold_unlabelled, unlabelled_rows
from mmext.language.table import TextTable
from mmext.registry import MODELS


class _WithEmbeddings:
    """What both heads add to the host's; ``embedding_loss`` learns from ``gt_instances.tags``.

    ``gt_instances.tags`` ``[n, W]`` says which words are true of an object. ``labelled_classes``
    in the meta of an image lists the classes that are labelled in it (see :mod:`.partial_labels`).
    """

    def __init__(
        self,
        *args: Any,
        embedding_loss: ConfigType | None = None,
        search_head: ConfigType | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.embedding_loss = None if embedding_loss is None else MODELS.build(embedding_loss)
        self.search_head = None if search_head is None else MODELS.build(search_head)
        self._truths: SampleList = []  # of the batch that is learned from
        self._images: Tensor | None = None  # of the maps that come
        if not isinstance(self.embedder.fc_cls, EmbeddingClassifier):
            raise InputError(
                f'{type(self).__name__} needs bbox_head.cls_predictor_cfg=dict(type='
                f"'mmext.EmbeddingClassifier', ...), got {type(self.embedder.fc_cls).__name__}"
            )

    @property
    def embedder(self) -> Any:
        """The box head whose classifier makes the embeddings: the last one."""
        head: Any = self.bbox_head  # type: ignore[attr-defined]
        return head[-1] if isinstance(head, nn.ModuleList) else head

    def text_table(self) -> TextTable:
        """The words of the classifier, with how to judge them where that was learned."""
        table: TextTable = self.embedder.fc_cls.text_table()
        learned = getattr(self.embedding_loss, 'word_scale_bias', None)
        if learned is None:
            return table
        scale, bias = learned.detach().float().tolist()
        return replace(table, scale_bias=(scale, bias))

    def loss(self, x: Any, rpn_results_list: InstanceList, batch_data_samples: SampleList) -> dict:
        """The host's losses, and those of the embeddings of the sampled regions of objects."""
        self._truths = batch_data_samples
        try:
            return super().loss(x, rpn_results_list, batch_data_samples)  # type: ignore[misc]
        finally:
            self._truths = []

    def see(self, images: Tensor) -> None:
        """Take the images ``[N, 3, H, W]`` of the maps that come next, for the search head."""
        self._images = None if self.search_head is None else images.detach()

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """The classifier keeps the embeddings of its next call."""
        classifier = self.embedder.fc_cls
        classifier.keeps = True
        try:
            yield
        finally:
            classifier.keeps, classifier.kept = False, None

    def _regions_of_objects(self, sampled: list[Any]) -> Tensor:
        """Embeddings ``[B, D]`` of the sampled regions of objects, by the classifier."""
        counts = [len(result.priors) for result in sampled]
        parts = self.embedder.fc_cls.kept.split(counts)  # of each image first those of objects
        return torch.cat(
            [part[: len(r.pos_priors)] for part, r in zip(parts, sampled, strict=True)]
        )

    def _learned_words(self) -> Tensor:
        """The words ``[W, D]``; beside a search head the classifier alone teaches its classes."""
        classifier = self.embedder.fc_cls
        vectors: Tensor = classifier.word_vectors()
        if self.search_head is None:
            return vectors
        is_class = torch.zeros(len(vectors), 1, dtype=torch.bool, device=vectors.device)
        is_class[classifier.class_rows] = True
        return torch.where(is_class, vectors.detach(), vectors)

    def _loss_of_tags(self, x: Any, sampled: list[Any]) -> dict[str, Tensor]:
        """The losses of sampled regions and the words that are true of their objects.

        Args:
            x: pyramid.
            sampled: the host's sampling results.
        """
        truths = [sample.gt_instances for sample in self._truths]
        if any('tags' not in truth for truth in truths):
            raise InputError(
                'embedding_loss needs gt_instances.tags: end the pipeline with mmext.MeasureTags'
            )
        tags = torch.cat(
            [
                truth.tags[result.pos_assigned_gt_inds]
                for truth, result in zip(truths, sampled, strict=True)
            ]
        ).float()  # [B, W]
        vectors = self._learned_words()
        if tags.shape[1] != len(vectors):
            raise InputError(
                f'gt_instances.tags have {tags.shape[1]} words, the classifier has {len(vectors)}; '
                'give both the same list'
            )
        labels = torch.cat([result.pos_gt_labels for result in sampled])
        if self.search_head is None:
            regions = self._regions_of_objects(sampled)
        else:
            pixels = self._look(x, [result.pos_priors for result in sampled])
            pixels, tags, labels = self.search_head.recall(pixels, tags, labels)
            regions = self.search_head(pixels)
        texts = nn.functional.normalize(tags @ vectors, dim=1)
        text_ids = torch.unique(tags, dim=0, return_inverse=True)[1]
        return self.embedding_loss(regions, texts, text_ids, labels, tags, vectors)  # type: ignore[misc]

    def _with_tags(self, results: dict, x: Any, sampled: list[Any]) -> dict:
        """The box losses, and those of the embeddings of the same regions."""
        if self.embedding_loss is not None:
            results['loss_bbox'].update(self._loss_of_tags(x, sampled))
        return results

    def _look(self, x: Any, boxes: list[Tensor]) -> Tensor:
        """The pixels of boxes ``[n_i, 4]``, px of the input, for the search head."""
        if self._images is None or len(self._images) < len(x[0]):
            raise InputError(
                'search_head reads the pixels of images, which this detector does not hand on: '
                "UPSNet and type='mmext.PixelRCNN' (in the place of MaskRCNN) do"
            )
        pixels: Tensor = self.search_head.look(self._images, bbox2roi(boxes))  # type: ignore[union-attr]
        return pixels

    def embed_boxes(self, x: Any, boxes: list[Tensor]) -> Tensor:
        """Embeddings ``[n, D]`` of the boxes ``[n_i, 4]`` of each image, px of the input."""
        rois = bbox2roi(boxes)
        classifier = self.embedder.fc_cls
        if not len(rois):
            return rois.new_zeros(0, classifier.table.shape[1])
        if self.search_head is not None:
            return self.search_head(self._look(x, boxes))
        with self._keeping():
            self._forward_last(x, rois)
            return classifier.kept

    def add_embeddings(self, x: Any, results_list: InstanceList) -> InstanceList:
        """Add ``embeddings`` ``[n, D]`` to detections whose boxes are in px of the input."""
        boxes = [get_box_tensor(results.bboxes) for results in results_list]
        parts = self.embed_boxes(x, boxes).split([len(b) for b in boxes])
        for results, embeddings in zip(results_list, parts, strict=True):
            results.embeddings = embeddings
        return results_list

    def predict_bbox(
        self,
        x: Any,
        batch_img_metas: list[dict],
        rpn_results_list: InstanceList,
        rcnn_test_cfg: ConfigType,
        rescale: bool = False,
        **kwargs: Any,
    ) -> InstanceList:
        """Detections with their embeddings; without a ``rcnn_test_cfg`` the host's candidates."""
        results: InstanceList = super().predict_bbox(  # type: ignore[misc]
            x, batch_img_metas, rpn_results_list, rcnn_test_cfg, False, **kwargs
        )
        if rcnn_test_cfg is not None:
            self.add_embeddings(x, results)
        if rescale:
            for image, meta in zip(results, batch_img_metas, strict=True):
                factors = tuple(1 / factor for factor in meta['scale_factor'])
                if len(image):
                    image.bboxes = scale_boxes(image.bboxes, factors)
        return results

    def _folded(self, results: dict, rois: Tensor) -> dict:
        """Class logits in training, without what an image does not label."""
        labelled = [sample.metainfo.get('labelled_classes') for sample in self._truths]
        if any(entry is not None for entry in labelled):
            logits, image_index = results['cls_score'], rois[:, 0].long()
            rows = unlabelled_rows(labelled, image_index, logits.shape[1] - 1)
            exclusive = not getattr(self.embedder.loss_cls, 'use_sigmoid', False)
            results['cls_score'] = fold_unlabelled(logits, rows, exclusive)
        return results

    def _forward_last(self, x: Any, rois: Tensor) -> Any:
        raise NotImplementedError


@MODELS.register_module()
class EmbeddingRoIHead(_WithEmbeddings, StandardRoIHead):
    """mmdet's two-stage head with region embeddings.

    Args:
        embedding_loss: an :class:`.JointEmbeddingLoss`, or None.
        search_head: a :class:`.SearchHead` that makes the embeddings; None: the classifier does.
        args, kwargs: of mmdet's ``StandardRoIHead``.

    Raises:
        InputError: the box head has no :class:`.EmbeddingClassifier`.
    """

    def bbox_loss(self, x: Any, sampling_results: list[Any]) -> dict:
        """The host's, with the losses of the embeddings."""
        with self._keeping():
            return self._with_tags(super().bbox_loss(x, sampling_results), x, sampling_results)

    def _bbox_forward(self, x: Any, rois: Tensor) -> dict:
        return self._folded(super()._bbox_forward(x, rois), rois)

    def _forward_last(self, x: Any, rois: Tensor) -> Any:
        return super()._bbox_forward(x, rois)


@MODELS.register_module()
class EmbeddingCascadeRoIHead(_WithEmbeddings, CascadeRoIHead):
    """mmdet's cascade with region embeddings, those of the last stage.

    Args:
        embedding_loss: an :class:`.JointEmbeddingLoss`, or None.
        search_head: a :class:`.SearchHead` that makes the embeddings; None: the classifier does.
        args, kwargs: of mmdet's ``CascadeRoIHead``.

    Raises:
        InputError: the box heads have no :class:`.EmbeddingClassifier`.
    """

    def bbox_loss(self, stage: int, x: Any, sampling_results: list[Any]) -> dict:
        """The host's; in the last stage with the losses of the embeddings."""
        if stage < self.num_stages - 1:
            return super().bbox_loss(stage, x, sampling_results)
        with self._keeping():
            results = super().bbox_loss(stage, x, sampling_results)
            return self._with_tags(results, x, sampling_results)

    def _bbox_forward(self, stage: int, x: Any, rois: Tensor) -> dict:
        return self._folded(super()._bbox_forward(stage, x, rois), rois)

    def _forward_last(self, x: Any, rois: Tensor) -> Any:
        return super()._bbox_forward(self.num_stages - 1, x, rois)
