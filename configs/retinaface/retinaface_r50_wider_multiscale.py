"""The headline network tested at five sizes with mirror images and box voting.

The protocol of Deng et al., arXiv 1905.00641 v2: short edges of 500 to 1700 px, voting at an
overlap of 0.4. Ten passes per image.
"""

_base_ = '../retinaface.py'

model = dict(
    test_cfg=dict(
        views=dict(short_edges_px=(500, 800, 1100, 1400, 1700), flip=True),
        nms=dict(iou_threshold=0.4),
        vote=True,
    )
)
