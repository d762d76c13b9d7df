"""Apply a trained model to an image, a folder, a video or a camera.

python tools/infer.py photo.jpg --config configs/upsnet.py --checkpoint upsnet.pth --out results
python tools/infer.py street.mp4 --checkpoint work_dirs/upsnet_demo/iter_700.pth
python tools/infer.py street.mp4 --checkpoint vpsnet.pth --out drawn.mp4

A video model gets the frames of a video or camera as one: its objects keep their numbers and
colours. With --out FILE.mp4 the drawn frames alone are written, at constant memory. Otherwise
writes to --out: pictures/ (photo and prediction side by side; a video for a video),
predictions.panoptic.json with its PNGs, and predictions.instances.json, in COCO's formats.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_cfg_options
from mmext.configuration import load_config
from mmext.errors import InputError, run_tool
from mmext.host import import_mmdet
from mmext.inference.checkpoints import check_exists
from mmext.inference.media import Source, open_source

if TYPE_CHECKING:
    from mmext.inference.coco_results import ResultsWriter
    from mmext.inference.media import PictureWriter
    from mmext.inference.prediction import Predictor


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('input', help='image file, folder of images, video file, or camera index')
    parser.add_argument('--checkpoint', required=True, help='trained weights')
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
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='lowest score of a drawn box (default 0.3)'
    )
    parser.add_argument('--batch-size', type=int, default=1)
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
    check_exists(arguments.checkpoint)
    config = load_config(arguments.config, arguments.cfg_options) if arguments.config else None

    # takes seconds: after everything that can be checked without it
    import_mmdet()

    from mmext.inference.coco_results import ResultsWriter, category_table
    from mmext.inference.media import PictureWriter
    from mmext.inference.prediction import load_predictor

    predictor = load_predictor(
        config, arguments.checkpoint, arguments.device, arguments.allow_partial
    )
    if to_video:
        results = None
        pictures = PictureWriter(arguments.out.parent, source, video=arguments.out)
    else:
        arguments.out.mkdir(parents=True, exist_ok=True)
        table = category_table(predictor.config, predictor.classes, predictor.thing_classes)
        results = ResultsWriter(arguments.out, table)
        pictures = PictureWriter(arguments.out / 'pictures', source)
    try:
        predict(source, predictor, results, pictures, arguments)
    except KeyboardInterrupt:
        print('stopped; what was predicted so far is kept')
    finally:
        if results is not None:
            results.close()
        pictures.close()
    for name in source.skipped:
        print(f'warning: {name} cannot be read as an image, skipped', file=sys.stderr)
    if not pictures.count and source.skipped:
        raise InputError(f'{arguments.input}: no image could be read')
    what = 'pictures' if results is None else 'pictures and COCO results'
    print(f'{pictures.count} {what} in {arguments.out}')


def predict(
    source: Source,
    predictor: 'Predictor',
    results: 'ResultsWriter | None',
    pictures: 'PictureWriter',
    arguments: argparse.Namespace,
) -> None:
    """Predict, draw and write every frame; without ``results`` the drawn frames alone."""
    from mmext.drawing.segments import side_by_side
    from mmext.progress import progress_bar

    video = None if source.fps is None else source.name
    frames, done = iter(source), 0
    with progress_bar('predicting', source.length, 'image') as advance:
        while batch := list(islice(frames, arguments.batch_size)):
            samples = predictor([frame.image for frame in batch], video, done)
            for frame, sample in zip(batch, samples, strict=True):
                drawn = predictor.draw(frame.image, sample, arguments.score_thr)
                if results is None:
                    pictures.write(frame.name, drawn)
                else:
                    results.write(frame, sample)
                    pictures.write(frame.name, side_by_side([frame.image[..., ::-1], drawn]))
            done += len(batch)
            advance(len(batch))


if __name__ == '__main__':
    sys.exit(run_tool(main))
