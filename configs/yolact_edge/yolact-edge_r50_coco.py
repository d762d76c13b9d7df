"""YolactEdge, ResNet-50, COCO. Released: 27.0 mask AP quantised, 28.2 without."""

_base_ = [
    '../_base_/models/yolact-edge_r50.py',
    '../_base_/datasets/coco_instances_550.py',
    '../_base_/schedules/yolact_800k.py',
]
