"""UPSNet on single frames of the clips, from random weights: what the video demos begin with."""

_base_ = '../_base_/video_panoptic_demo.py'

train_dataloader = dict(dataset=dict(reference_range=0))
