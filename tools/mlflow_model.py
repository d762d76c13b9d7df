"""Log a trained detector as a model that MLflow can serve.

python tools/mlflow_model.py work_dirs/upsnet/iter_90000.pth
python tools/mlflow_model.py best.pth --config configs/upsnet.py --register street --alias champion
mlflow models serve --env-manager local -m models:/street@champion
"""

import argparse
import sys
from collections.abc import Sequence

import cv2
import numpy as np

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_trust, trust_checkpoints
from mmext.configuration import load_config
from mmext.errors import InputError, run_tool
from mmext.inference.checkpoints import check_exists


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='a checkpoint of mmengine')
    parser.add_argument('--config', help='its config; default: the one inside the checkpoint')
    parser.add_argument('--work-dir', help='of the log; default: the folder of the checkpoint')
    parser.add_argument(
        '--tracking-uri', help='default: MLFLOW_TRACKING_URI, else mlflow.db in the work folder'
    )
    add_trust(parser)
    parser.add_argument('--register', metavar='NAME', help='make it a version of this model')
    parser.add_argument('--alias', help='of the registered version')
    parser.add_argument('--example', metavar='PICTURE', help='stored as an example of a request')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Log the checkpoint that the command line names."""
    arguments = build_parser().parse_args(argv)
    if arguments.alias and not arguments.register:
        raise InputError('--alias: needs --register NAME')
    check_exists(arguments.checkpoint)
    trust_checkpoints(arguments)
    config = load_config(arguments.config) if arguments.config else None
    example = None if arguments.example is None else _read(arguments.example)
    from mmext.hooks.mlflow_logging.log_checkpoint import log_checkpoint

    run, delivered = log_checkpoint(
        arguments.checkpoint,
        config,
        arguments.work_dir,
        arguments.tracking_uri,
        arguments.register,
        arguments.alias,
        example,
    )
    if not delivered:
        raise InputError(
            'not sent, for the reason above; all is kept, and tools/mlflow_replay.py sends it later'
        )
    name = f'models:/{arguments.register}' + (f'@{arguments.alias}' if arguments.alias else '')
    print(f'logged in run {run.run_id}' + (f' as {name}' if arguments.register else ''))


def _read(path: str) -> np.ndarray:
    image = cv2.imread(path)
    if image is None:
        raise InputError(f'--example: no picture at {path}')
    return np.asarray(image[..., ::-1], np.uint8)


if __name__ == '__main__':
    sys.exit(run_tool(main))
