"""Objects as points with key points, made small: faces and their five landmarks.

`python -m mmext.demo faces --out data/demo_faces` writes the data set, also in COCO's key point
format. The network is that of `centernet_demo.py` with the branches of the joints, from random
initialisation. Held-out: box AP50 90.0, landmark NME 10.5 % of the box, OKS AP50 26.0. For OKS a
face is half right at an error of 6 % of its box: minutes of training are little for that.
"""

_base_ = [
    './_base_/models/centernet_dla34_pose.py',
    './_base_/datasets/demo_pose.py',
    './_base_/schedules/demo.py',
]

model = dict(
    backbone=dict(widths=(8, 16, 32, 64, 128, 256)),
    neck=dict(in_channels=(32, 64, 128, 256), conv_cfg=None),
    bbox_head=dict(
        num_joints=5, flip_pairs={{_base_.flip_pairs}}, in_channels=32, feat_channels=64
    ),
    test_cfg=dict(max_per_img=50),
)

optim_wrapper = dict(optimizer=dict(lr=2e-3))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
