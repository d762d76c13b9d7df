"""The two-stage detectors of detectron2 under the names of mmdet: ResNet, pyramid, boxes.

What a branch of its own adds comes from the room of that branch.
"""

from mmext.formats.checkpoint_keys import Drop, Rename


def detector_keys() -> list[Rename | Drop]:
    """Backbone, pyramid, proposals and boxes of the ``*_FPN`` models."""
    first, second = r'proposal_generator\.rpn_head\.', r'roi_heads\.'
    boxes = 'roi_head.bbox_head'
    return [
        Rename(r'backbone\.bottom_up\.stem\.conv1\.weight', 'backbone.conv1.weight'),
        Rename(r'backbone\.bottom_up\.stem\.conv1\.norm\.(.+)', r'backbone.bn1.\1'),
        *(line for stage in range(2, 6) for line in _stage(stage)),
        Rename(rf'{first}conv\.(.+)', r'rpn_head.rpn_conv.\1'),
        Rename(rf'{first}objectness_logits\.(.+)', r'rpn_head.rpn_cls.\1'),
        Rename(rf'{first}anchor_deltas\.(.+)', r'rpn_head.rpn_reg.\1'),
        Rename(rf'{second}box_head\.fc1\.(.+)', rf'{boxes}.shared_fcs.0.\1'),
        Rename(rf'{second}box_head\.fc2\.(.+)', rf'{boxes}.shared_fcs.1.\1'),
        Rename(rf'{second}box_predictor\.cls_score\.(.+)', rf'{boxes}.fc_cls.\1'),
        Rename(rf'{second}box_predictor\.bbox_pred\.(.+)', rf'{boxes}.fc_reg.\1'),
        Drop(r'pixel_(?:mean|std)', 'the data preprocessor of the config has them'),
        Drop(r'proposal_generator\.anchor_generator\..+', 'the config has the anchors'),
    ]


def _stage(stage: int) -> tuple[Rename, ...]:
    """A stage of the ResNet, whose norms are part of the convolutions, and its pyramid level."""
    source = rf'backbone\.bottom_up\.res{stage}\.(\d+)'
    target, level = rf'backbone.layer{stage - 1}.\1', stage - 2
    return (
        Rename(rf'{source}\.conv(\d)\.norm\.(.+)', rf'{target}.bn\2.\3'),
        Rename(rf'{source}\.conv(\d)\.weight', rf'{target}.conv\2.weight'),
        Rename(rf'{source}\.shortcut\.norm\.(.+)', rf'{target}.downsample.1.\2'),
        Rename(rf'{source}\.shortcut\.weight', rf'{target}.downsample.0.weight'),
        Rename(rf'backbone\.fpn_lateral{stage}\.(.+)', rf'neck.lateral_convs.{level}.conv.\1'),
        Rename(rf'backbone\.fpn_output{stage}\.(.+)', rf'neck.fpn_convs.{level}.conv.\1'),
    )
