"""The parts for videos on top of the image model of the clips, whose backbone stays as it is."""

_base_ = './upsnet_video_demo.py'

model = dict(
    backbone=dict(frozen_stages=4, norm_eval=True),
    fuse_neck=dict(
        type='mmext.GatedFuseNeck',  # ours; the paper's: vpsnet_paper_fuse_demo.py
        channels=64,
        residual_flow=dict(type='mmext.ResidualFlow', hidden_channels=(32, 32, 16)),
    ),
    track_head=dict(type='mmext.TrackHead', in_channels=64, fc_channels=256, loss_weight=0.5),
    tracker=dict(type='mmext.VPSNetTracker', iou_weight=8.0),  # chosen on clips of another seed
)
