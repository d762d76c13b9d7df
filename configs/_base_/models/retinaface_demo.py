"""RetinaFace made small, with landmarks, mesh, attributes and a second look at each face.

Neck and head are those of the small network. The backbone is a ResNet-18 of three eighths of the
width without its last stage: from random weights it learns in far fewer steps than MobileNetV1
x0.25, whose depthwise convolutions are slow on CPUs in the backward pass.
"""

_base_ = './retinaface_mobilenet025.py'

attributes = [
    dict(name='glasses', values=('no', 'yes'), kind='binary'),
    dict(name='hat', values=('no', 'yes'), kind='binary'),
    dict(name='expression', values=('neutral', 'smile', 'surprise', 'frown'), kind='categorical'),
    dict(name='age', values=('child', 'young', 'middle', 'old'), kind='ordinal'),
]
# the mesh of the generated heads is a grid; in mirror images its columns swap
rows, columns = 11, 9
mesh_triangles = [
    corner
    for row in range(rows - 1)
    for cell in range(row * columns, row * columns + columns - 1)
    for corner in ((cell, cell + 1, cell + columns), (cell + 1, cell + columns + 1, cell + columns))
]
mesh_flip_pairs = [
    (row * columns + column, row * columns + columns - 1 - column)
    for row in range(rows)
    for column in range(columns // 2)
]

model = dict(
    mesh_flip_pairs=mesh_flip_pairs,
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=24,
        stem_channels=24,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(1, 2),
        norm_cfg=dict(type='BN'),
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[48, 96]),
    bbox_head=dict(
        rules=dict(
            # faces of 13 to 210 px in pictures of 256; on fine levels, for points and expressions
            priors=dict(strides=(8, 16), sizes_px=((16, 25, 39), (61, 95, 148))),
            mining=dict(min_negatives=32),  # pictures without faces teach as well
            # errors of a few percent of a face still pull at full strength
            losses=dict(beta=0.1, landmark_weight=1.5),
        ),
        attributes=dict(table=attributes, hidden_channels=64, weight=4.0),
        mesh=dict(num_vertices=rows * columns, triangles=mesh_triangles, hidden_channels=64),
    ),
    close_up=dict(
        # without attributes, which disturb the landmarks there
        type='mmext.CloseUp',
        # in sides of the crop, a tenth of the head's units
        mesh=dict(num_vertices=rows * columns, vertex_weight=10.0),
    ),
    test_cfg=dict(score_thr=0.02, nms_pre=1000, max_per_img=100),
)
