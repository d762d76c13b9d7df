r"""Convert a checkpoint of another project, with a report of every key.

python tools/convert_checkpoint.py retinaface Resnet50_Final.pth --config configs/retinaface.py \
    --out retinaface.pth
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_cfg_options, add_trust, trust_checkpoints
from mmext.configuration import load_config
from mmext.errors import run_tool
from mmext.host import import_mmdet
from mmext.inference.checkpoint_conversion import convert_checkpoint
from mmext.inference.checkpoint_systems import SYSTEMS
from mmext.inference.checkpoints import check_exists


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    kinds = ''.join(
        f'\n  {name}: {system.source}'
        + ''.join(f'\n    --config mmext::{config}' for config in system.configs)
        for name, system in SYSTEMS.items()
    )
    parser = argparse.ArgumentParser(
        description=f'{__doc__}\nsystems:{kinds}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('system', choices=SYSTEMS, help='what the checkpoint is of')
    parser.add_argument('source', help='the checkpoint')
    parser.add_argument('--config', required=True, help='config of the model it is for')
    add_cfg_options(parser)
    add_trust(parser)
    parser.add_argument('--out', type=Path, required=True, help='the file to write')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Convert as the command line says."""
    arguments = build_parser().parse_args(argv)
    check_exists(arguments.source)
    trust_checkpoints(arguments)
    config = load_config(arguments.config, arguments.cfg_options)
    import_mmdet()
    report = convert_checkpoint(arguments.system, arguments.source, config, arguments.out)
    print(*report.lines(), f'written to {arguments.out}', sep='\n')


if __name__ == '__main__':
    sys.exit(run_tool(main))
