"""Apply a trained model to an image, a folder, a video or a camera.

python tools/infer.py photo.jpg --config configs/upsnet.py --checkpoint upsnet.pth --out results
python tools/infer.py street.mp4 --checkpoint work_dirs/upsnet_demo/iter_700.pth
python tools/infer.py street.mp4 --checkpoint vpsnet.pth --out drawn.mp4
python tools/infer.py photo.jpg --checkpoint upsnet.onnx --backend openvino

A video model gets the frames of a video or camera as one: its objects keep their numbers and
colours. A camera gives its newest frame each time; what comes in between is dropped.
With --out FILE.mp4 the drawn frames alone are written, at constant memory. Otherwise
writes to --out: pictures/ (photo and prediction side by side; a video for a video),
predictions.panoptic.json with its PNGs, and predictions.instances.json, in COCO's formats;
surfaces of persons as predictions.surfaces/*.npz, one by one, and *.png, the whole picture.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import (
    add_cfg_options,
    add_precision,
    add_score_threshold,
    add_trust,
    trust_checkpoints,
)
from mmext.configuration import load_config
from mmext.errors import InputError, run_tool
from mmext.formats.onnx_metadata import BACKENDS
from mmext.host import import_mmdet
from mmext.inference.camera import LatestFrames
from mmext.inference.checkpoints import check_exists
from mmext.inference.media import Source, open_source
from mmext.inference.output_places import check_output_file, check_output_folder, writing
from mmext.inference.surface_results import read_texture

if TYPE_CHECKING:
    from mmext.drawing.colors import Picture
    from mmext.inference.streaming import AnyPredictor


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('input', help='image file, folder of images, video file, or camera index')
    parser.add_argument('--checkpoint', required=True, help='trained weights, or an ONNX file')
    parser.add_argument('--config', help='config file (default: the one stored in the checkpoint)')
    add_cfg_options(parser)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('predictions'),
        metavar='DIR|FILE.mp4',
        help='folder for all results (default: predictions), or a video of the drawn frames',
    )
    parser.add_argument('--device', default='auto', help='cpu, cuda:0, ... (default: GPU if any)')
    add_score_threshold(parser)
    add_trust(parser)
    add_precision(parser, 'auto', 'auto: the fastest on the device')
    parser.add_argument(
        '--backend',
        choices=BACKENDS,
        help='runtime of an ONNX file (default: onnxruntime, or the one that is installed)',
    )
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument(
        '--smooth-points',
        choices=('on', 'off'),
        default='on',
        help='key points in videos: a One Euro filter takes out their trembling (default: on)',
    )
    parser.add_argument(
        '--texture',
        type=Path,
        metavar='FILE.png',
        help='persons in another skin: 6 rows of 4 square tiles, one for each part of the surface',
    )
    parser.add_argument(
        '--vocabulary',
        type=Path,
        metavar='FILE.npz',
        help='words to find, of a detector whose classes are words (mmext words makes such files)',
    )
    parser.add_argument(
        '--allow-partial',
        action='store_true',
        help='accept a checkpoint that lacks some of the weights',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Predict as the command line says."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.batch_size < 1:
        parser.error(f'--batch-size: expected 1 or more, got {arguments.batch_size}')
    if arguments.cfg_options and not arguments.config:
        parser.error('--cfg-options needs --config')
    source = open_source(arguments.input)
    to_video = arguments.out.suffix.lower() == '.mp4'
    if to_video and source.fps is None:
        raise InputError(f'--out {arguments.out}: {arguments.input} is no video, name a folder')
    if to_video and arguments.out.resolve() == Path(arguments.input).resolve():
        raise InputError(f'--out {arguments.out} is the input, it would be overwritten')
    if to_video:
        check_output_file('--out', arguments.out)
    else:
        check_output_folder('--out', arguments.out)
    check_exists(arguments.checkpoint)
    texture = read_texture(arguments.texture) if arguments.texture else None
    trust_checkpoints(arguments)
    config = load_config(arguments.config, arguments.cfg_options) if arguments.config else None

    # takes seconds: after everything that can be checked without it
    import_mmdet()

    from mmext.inference.prediction import load_predictor
    from mmext.inference.streaming import report_left_out

    predictor = load_predictor(
        config,
        arguments.checkpoint,
        arguments.device,
        arguments.allow_partial,
        arguments.precision,
        arguments.backend,
        arguments.vocabulary,
    )
    count = predict(source, predictor, arguments, texture)
    report_left_out(source)
    if isinstance(source, LatestFrames):
        print(source.account())
    if not count and source.skipped:
        raise InputError(f'{arguments.input}: no image could be read and predicted')
    what = 'pictures' if to_video else 'pictures and COCO results'
    print(f'{count} {what} in {arguments.out}')


def predict(
    source: Source,
    predictor: 'AnyPredictor',
    arguments: argparse.Namespace,
    texture: 'Picture | None' = None,
) -> int:
    """Predict, draw and write every frame; return the number of drawn ones.

    Whatever ends the loop early, the results of the frames before it are written.
    """
    from mmext.inference.coco_results import ResultsWriter, category_table
    from mmext.inference.media import PictureWriter
    from mmext.inference.point_smoothing import PointSmoother
    from mmext.inference.streaming import Outputs, predict_stream

    out, results = arguments.out, None
    if out.suffix.lower() == '.mp4':
        pictures = PictureWriter(out.parent, source, video=out)
    else:
        table = category_table(predictor.config, predictor.classes, predictor.thing_classes)
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
        results = ResultsWriter(out, table)
        pictures = PictureWriter(out / 'pictures', source)
    outputs = Outputs(pictures, results, arguments.score_thr, texture)
    try:
        smooth = source.fps is not None and arguments.smooth_points == 'on'
        smoother = PointSmoother(source.fps or 0.0) if smooth else None
        predict_stream(source, predictor, outputs, arguments.batch_size, smoother)
    except KeyboardInterrupt:
        print('stopped; what was predicted so far is kept')
    finally:
        if results is not None:
            results.close()
        pictures.close()
    return pictures.count


if __name__ == '__main__':
    sys.exit(run_tool(main))
