"""UPSNet, ResNet-101, Cityscapes, trained on COCO before: for the released weights.

`tools/convert_checkpoint.py upsnet SOURCE --config
configs/upsnet/upsnet_r101_cityscapes_released.py --out OUT`. The weights are reported to reach PQ
61.8 (things 57.6, stuff 64.8) on val at several scales, 60.5 at one.
"""

_base_ = './upsnet_r50_cityscapes_released.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe'))
)

# released: 3k iterations of 16 images after COCO, divided by 10 after 2k, no warm-up
train_cfg = dict(max_iters=3000)
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[2000], gamma=0.1)]
