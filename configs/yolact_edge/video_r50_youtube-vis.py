"""YolactEdge on videos, ResNet-50, third stage: all that is used between key frames.

Released: 44.2 mask AP of single frames on the authors' part of YouTube-VIS, 44.7 as an image model.
"""

_base_ = [
    '../_base_/models/yolact-edge-video_r50.py',
    '../_base_/datasets/youtube_vis_550.py',
    '../_base_/schedules/yolact_edge_video.py',
]

load_from = 'work_dirs/flow_r50_flying-chairs/iter_400000.pth'

model = dict(
    type='mmext.YolactEdgeJointStage',
    bbox_head=dict(num_classes=40),
    mask_head=dict(num_classes=40),
)
