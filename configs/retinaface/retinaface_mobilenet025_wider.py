"""RetinaFace, MobileNetV1 x0.25 (0.4 million weights), WIDER FACE.

The small network of biubug6/Pytorch_Retinaface with its recipe. It reports AP easy/medium/hard on
WIDER FACE val 90.70 / 88.16 / 73.82 at the original size and 88.67 / 87.09 / 80.99 with short
edge 1600 (the two lines that `retinaface_r50_wider_1600.py` adds).

The backbone starts from ImageNet weights if
`--cfg-options model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE`
names the output of `tools/convert_checkpoint.py retinaface-backbone`.
"""

_base_ = [
    '../_base_/models/retinaface_mobilenet025.py',
    '../_base_/datasets/wider_face.py',
    '../_base_/schedules/faces_100e.py',
]

train_dataloader = dict(batch_size=32)  # on one GPU
auto_scale_lr = dict(enable=False, base_batch_size=32)

# 250 epochs, divided by 10 after 190 and 220
train_cfg = dict(max_epochs=250)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[190, 220], gamma=0.1)]
