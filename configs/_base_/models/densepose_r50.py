"""DensePose R-CNN on ResNet-50 with a pyramid, as detectron2's models of the schedule s1x."""

_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

model = dict(
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        norm_cfg=dict(requires_grad=False),
        style='caffe',
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet50_caffe'),
    ),
    roi_head=dict(
        type='mmext.TaskRoIHead',
        bbox_roi_extractor=dict(
            type='mmext.SingleRoIExtractor', roi_layer=dict(sampling_ratio=2, aligned=False)
        ),
        bbox_head=dict(num_classes=1),
        tasks=dict(
            densepose=dict(
                type='mmext.DensePoseTask',
                decoder=dict(type='mmext.PyramidDecoder'),
                roi_extractor=dict(
                    type='mmext.SingleRoIExtractor',
                    roi_layer=dict(
                        type='RoIAlign', output_size=28, sampling_ratio=2, aligned=False
                    ),
                    out_channels=256,
                    featmap_strides=[4],
                ),
                trunk=dict(type='mmext.SurfaceConvTrunk'),
            )
        ),
    ),
)
