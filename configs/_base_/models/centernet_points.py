"""Objects as points: what the detectors on every backbone share.

Zhou et al., "Objects as Points", 2019.
"""

data_preprocessor = dict(
    type='DetDataPreprocessor',
    # of COCO, BGR; 255 times .408, .447, .470 and .289, .274, .278 (released code)
    mean=[104.0136, 114.0342, 119.9166],
    std=[73.6028, 69.8908, 70.9151],
    bgr_to_rgb=False,
)

model = dict(
    type='mmext.CenterNetPointDetector',
    data_preprocessor=data_preprocessor,
    bbox_head=dict(type='mmext.CenterNetPointHead', num_classes=80),
    test_cfg=dict(topk=100, local_maximum_kernel=3, max_per_img=100, flip=True),  # section 4, 5.1
)
# multi-scale test: `tools/test.py CONFIG CHECKPOINT --tta`
tta_model = dict(type='mmext.CenterNetMultiScale', max_per_img=100)
