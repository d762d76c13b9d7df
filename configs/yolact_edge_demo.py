"""A small YolactEdge that learns the generated set's instances within minutes on two CPU cores."""

_base_ = [
    './_base_/models/yolact-edge_demo.py',
    './_base_/datasets/demo_instances.py',
    './_base_/schedules/demo.py',
]
