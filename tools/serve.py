"""Show a trained model on a local page: drop a picture, see what it finds.

mmext serve work_dirs/upsnet_demo                     # the best or last checkpoint in it
mmext serve upsnet.pth
mmext serve models:/street@champion --port 8080
mmext serve face.onnx

The page is for this machine alone unless --host says otherwise; whoever reaches it then can use
the model, without a password. Over ssh: ssh -L 8000:127.0.0.1:8000 MACHINE. Pictures are looked at
in memory and are not kept.
"""

import argparse
import sys
from collections.abc import Sequence

import mmext
from mmext.cli.arguments import add_precision, add_trust
from mmext.errors import InputError, run_tool


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'model',
        help='a checkpoint, a work folder, an ONNX file, an MLflow URI, a config with load_from',
    )
    parser.add_argument('--config', help='of the checkpoint (default: the one stored in it)')
    parser.add_argument('--host', default='127.0.0.1', help='(default: this machine alone)')
    parser.add_argument('--port', type=int, default=8000, help='0 takes a free one')
    parser.add_argument('--device', default='auto', help='cpu, cuda:0, ... (default: GPU if any)')
    parser.add_argument('--max-megabytes', type=float, default=20.0, help='of a picture file')
    parser.add_argument('--max-megapixels', type=float, default=30.0, help='of a picture')
    add_trust(parser)
    add_precision(parser, 'auto', 'auto: the fastest on the device')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Load the model and serve until Ctrl-C."""
    arguments = build_parser().parse_args(argv)
    for name in ('max_megabytes', 'max_megapixels'):
        if not 0 < getattr(arguments, name) < float('inf'):
            option = f'--{name.replace("_", "-")}'
            raise InputError(f'{option}: expected more than 0, got {getattr(arguments, name)}')
    if not 0 <= arguments.port < 1 << 16:
        raise InputError(f'--port: expected 0 to 65535, got {arguments.port}')
    model = mmext.load(
        arguments.model,
        arguments.config,
        device=arguments.device,
        precision=arguments.precision,
        trust_checkpoint=arguments.trust_checkpoint,
    )

    from mmext.serving.pictures import Limits
    from mmext.serving.server import PageServer

    limits = Limits(arguments.max_megabytes, arguments.max_megapixels)
    with PageServer(model, arguments.host, arguments.port, limits) as server:
        if not server.is_local:
            print(f'warning: everybody who reaches {arguments.host} can use this page')
        print(f'{model}\nopen {server.url}  (Ctrl-C ends it)', flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print('\nended')


if __name__ == '__main__':
    sys.exit(run_tool(main))
