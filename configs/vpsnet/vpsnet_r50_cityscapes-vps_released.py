"""VPSNet ("FuseTrack"), ResNet-50: for the released weights.

`tools/convert_checkpoint.py vpsnet SOURCE --config
configs/vpsnet/vpsnet_r50_cityscapes-vps_released.py --out OUT`. Numbers are those of the released
code and of mmdetection 1.x, on which it is built. The flow is DIS, not FlowNet2.
"""

_base_ = '../vpsnet.py'

model = dict(
    rpn_head=dict(anchor_generator=dict(center_offset=0.5)),  # mmdetection 1.x
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=dict(aligned=False)),  # mmdetection 1.x
        mask_roi_extractor=dict(roi_layer=dict(aligned=False)),
    ),
    fuse_neck=dict(align_corners=False),  # what torch did when it was trained
)
