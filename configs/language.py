"""Mask R-CNN, ResNet-50, COCO, whose classes are words: cosines with a table of text vectors.

The vectors are learned here; with vectors made elsewhere (CLIP, a sentence encoder, `mmext words`):

    cls_predictor_cfg=dict(words=None, table='data/words.npz', classes=coco_words)

Boxes and masks do not know classes, so that another table can take the place of this one after the
training. Not trained here on COCO. Gu et al. 2022 (ViLD), Zhou et al. 2022 (Detic): softmax with a
learned background vector.
"""

_base_ = ['./mmdet/mask-rcnn_r50_fpn_1x_coco.py', './_base_/coco_words.py']

coco_words = {{_base_.coco_words}}
model = dict(
    roi_head=dict(
        type='mmext.EmbeddingRoIHead',
        bbox_head=dict(
            reg_class_agnostic=True,
            cls_predictor_cfg=dict(
                type='mmext.EmbeddingClassifier',
                words=coco_words,
                dim=512,  # Detic, configuration
            ),
        ),
        mask_head=dict(class_agnostic=True),
    )
)
default_hooks = dict(vocabulary=dict(type='mmext.VocabularyHook', replaceable=True))
