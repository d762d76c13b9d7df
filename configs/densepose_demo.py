"""Boxes, masks, key points and surface of the generated figures, learned together on two CPU cores.

`python -m mmext.demo figures --out data/demo_figures` writes the data set.
"""

_base_ = [
    './_base_/models/densepose_demo.py',
    './_base_/datasets/demo_surface.py',
    './_base_/schedules/demo.py',
]
