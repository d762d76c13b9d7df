"""UPSNet on single frames of the clips, from random weights: what the video demos begin with."""

_base_ = [
    '../_base_/models/upsnet_video_demo.py',
    '../_base_/datasets/demo_video.py',
    '../_base_/schedules/demo.py',
]

train_dataloader = dict(dataset=dict(reference_range=0))
default_hooks = dict(data_check=dict(type='mmext.DataCheckHook'))
