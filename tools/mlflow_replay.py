"""Send what MLflow logging has kept on disk, and end the runs of processes that died.

python tools/mlflow_replay.py work_dirs/upsnet
python tools/mlflow_replay.py work_dirs --tracking-uri http://user:password@server:5000
python tools/mlflow_replay.py work_dirs --rejected
python tools/mlflow_replay.py --reap http://server:5000
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmext.errors import InputError, run_tool
from mmext.hooks.mlflow_logging.delivery.answers import Outage, Refusal
from mmext.hooks.mlflow_logging.delivery.replay import describe, reap, replay, replay_rejected


def main(argv: Sequence[str] | None = None) -> None:
    """Replay the folders that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folders', nargs='*', type=Path, help='work folders, or folders of them')
    parser.add_argument('--tracking-uri', help='send there, not where the run was going')
    parser.add_argument(
        '--rejected', action='store_true', help='also send once more what the server has refused'
    )
    parser.add_argument(
        '--reap', metavar='URI', help='also mark runs on this server that went silent as KILLED'
    )
    parser.add_argument(
        '--stale-after', type=float, default=1800.0, help='seconds of silence (default 1800)'
    )
    arguments = parser.parse_args(argv)
    if not arguments.folders and not arguments.reap:
        parser.error('nothing to do: name a folder or --reap')
    kept = refused = 0
    for folder in arguments.folders:
        if not folder.is_dir():
            raise InputError(f'no such folder: {folder}')
        for result in replay(folder, arguments.tracking_uri):
            print(describe(result), flush=True)
            kept += result.outcome in ('kept', 'spoiled')
            refused += 0 if arguments.rejected else result.rejected
        for result in replay_rejected(folder, arguments.tracking_uri) if arguments.rejected else ():
            print(describe(result), flush=True)
            kept += result.outcome == 'kept'
            refused += result.rejected
    if arguments.reap:
        try:
            for run_id in reap(arguments.reap, arguments.stale_after):
                print(f'killed  run {run_id}', flush=True)
        except (Outage, Refusal) as reason:
            raise InputError(f'--reap {arguments.reap}: {reason}') from reason
    if kept:
        raise InputError(f'{kept} not sent, for the reasons above; all is kept, try again later')
    if refused:
        raise InputError(
            f'{refused} records were refused or could not be read; they are kept, with the '
            'reasons, in the files above (*.rejected.jsonl); --rejected sends them again'
        )


if __name__ == '__main__':
    sys.exit(run_tool(main))
