"""YolactEdge, MobileNetV2, COCO. Released: 20.8 mask AP quantised, 22.1 without."""

_base_ = [
    '../_base_/models/yolact-edge_mobilenetv2.py',
    '../_base_/datasets/coco_instances_550.py',
    '../_base_/schedules/yolact_800k.py',
]
