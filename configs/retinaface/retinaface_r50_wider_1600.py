"""The headline network tested with a short edge of 1600 px, the long one at most 2150."""

_base_ = '../retinaface.py'

model = dict(test_cfg=dict(views=dict(short_edges_px=(1600,), max_long_edge_px=2150)))
