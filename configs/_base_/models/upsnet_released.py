"""What the weights released with UPSNet were trained on and ours are not.

Xiong et al., "UPSNet", CVPR 2019, and its released code and configurations. That code counts the
width of a box as `x2 - x1 + 1`; boxes here end one pixel later, so that its anchors, deltas, NMS
and windows are mmdet's, and only what a RoI pools is one pixel less.

Score, NMS, overlap and area limits of the test are those of `upsnet_r50.py`, which has
them from the same configurations.
"""

released = dict(
    # the pixel means of the release, BGR; the deviation is 1
    data_preprocessor=dict(mean=[102.9801, 115.9465, 122.7717]),
    # anchors around the middle of a cell, with the rounded sides of Faster R-CNN's code
    rpn_head=dict(anchor_generator=dict(type='mmext.RoundedAnchorGenerator', center_offset=0.5)),
    roi_head=dict(
        # RoIAlign without the shift of half a cell, up to the last pixel
        bbox_roi_extractor=dict(roi_layer=dict(aligned=False, inclusive_ends=True)),
        mask_roi_extractor=dict(roi_layer=dict(aligned=False, inclusive_ends=True)),
    ),
)
