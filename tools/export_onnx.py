"""Export a trained detector, landmarks on crops, or the dense part of DensePose, to ONNX.

python tools/export_onnx.py configs/upsnet.py upsnet.pth --out upsnet.onnx
python tools/infer.py photo.jpg --checkpoint upsnet.onnx --backend openvino

`mmext.load('upsnet.onnx')` takes the file as it takes a checkpoint, with the same results; the file
holds config and classes. It takes `image`, float32 [N, 3, H, W], BGR from 0 to 255 as OpenCV reads
it, of any size that the config pads images to. What is inside:

CenterNet, objects as points, poses: all, flipped images too: `bboxes` [N, K, 4] (x1, y1, x2, y2),
  `scores`, `labels`, `centers`, `keypoints`, `keypoint_scores`, in pixels of that image.
CenterNet, keypoint triplets: all up to pairs of corners and centers.
UPSNet, VPSNet, Mask R-CNN and other two-stage detectors: several files. `upsnet.onnx` turns images
  into pyramid levels, RPN maps and class logits; `upsnet.boxes.onnx` and `upsnet.masks.onnx` take
  levels and `rois` [R, 5] (image, x1, y1, x2, y2), any number of them; of a VPSNet also `track`
  and, with a fuse neck, `fused`.
Single-stage detectors of mmdet: all up to what the head says before decoding.
RetinaFace: `boxes` [N, P, 4], `scores` [N, P] and `landmarks` [N, P, 5, 2] of all P priors;
  elsewhere score threshold and suppression are yours:

    boxes, scores, landmarks = session.run(None, {'image': image})
    xywh = numpy.hstack([boxes[0, :, :2], boxes[0, :, 2:] - boxes[0, :, :2]])
    faces = cv2.dnn.NMSBoxes(xywh, scores[0], 0.5, 0.4)

   With --nms they are inside: as many faces as the config's max_per_img, best first, with scores of
   0 where there are fewer.

Of a mmext.VideoYolactEdge two files are written, `NAME.key.onnx` for key frames and
`NAME.between.onnx` for the frames between them, of one --size (by default that of the test
pipeline). The first also gives the state `middle`, `coarse`, `encoded` that the second takes beside
`image`. --calibrate VIDEO also writes `NAME-int8.*.onnx`, calibrated on its frames.

Of mmext.CropLandmarkEstimator the file takes crops of the config's size as `image` and gives
`points` [N, K, 2] in pixels of the crop and `scores` [N, K]; the crops are yours. Of a detector
with mmext.DensePoseTask only the dense part is written: it takes features of `regions`
[R, C, s, s], or where it reads images their normalized pixels [R, 3, s, s], and gives `coarse`,
`parts`, `u` and `v`; boxes and regions are yours.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_cfg_options, add_trust, trust_checkpoints
from mmext.configuration import load_config
from mmext.errors import InputError, run_tool
from mmext.host import import_mmdet
from mmext.inference.checkpoints import check_exists
from mmext.inference.onnx_export import export_file, not_exported
from mmext.inference.onnx_video import export_video_model, is_video_model
from mmext.layers.graph_writing import check_packages


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='trained weights')
    add_cfg_options(parser)
    add_trust(parser)
    parser.add_argument('--out', type=Path, required=True, help='the file to write')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='fix the size of the images (default: any size)',
    )
    parser.add_argument(
        '--nms', action='store_true', help='RetinaFace: thresholds and suppression inside'
    )
    parser.add_argument(
        '--calibrate',
        metavar='VIDEO',
        help='of a video model: also static INT8, in the ranges that frames of this video have',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Export as the command line says."""
    arguments = build_parser().parse_args(argv)
    check_packages()
    check_exists(arguments.checkpoint)
    trust_checkpoints(arguments)
    config = load_config(arguments.config, arguments.cfg_options)
    import_mmdet()
    size = tuple(arguments.size) if arguments.size else None
    if is_video_model(config):
        for line in export_video_model(
            config, arguments.checkpoint, arguments.out, size, arguments.calibrate
        ):
            print(line)
        return
    if arguments.calibrate:
        raise InputError('--calibrate is for video models; this config is of none')
    gaps = export_file(config, arguments.checkpoint, arguments.out, size, arguments.nms)
    if lacking := not_exported(config):
        print(f'not in the file: {", ".join(lacking)}')
    for name, gap in gaps.items():
        path = arguments.out.with_name(name)
        print(f'{path}: differs from torch by at most {gap:.0e} of the largest value')


if __name__ == '__main__':
    sys.exit(run_tool(main))
