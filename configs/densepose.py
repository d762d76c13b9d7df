"""DensePose R-CNN, ResNet-50 with a pyramid, on DensePose-COCO: detectron2's R_50_FPN_s1x.

Published by detectron2 (not trained again here, no weights were at hand): box AP 61.2, mask AP
67.2, GPS AP 63.7, GPSm AP 65.3. Its weights: `tools/convert_checkpoint.py densepose SOURCE --config
THIS --out OUT`.
"""

_base_ = [
    './_base_/models/densepose_r50.py',
    './_base_/datasets/densepose_coco.py',
    './_base_/schedules/densepose_130k.py',
]
