"""Kill trainings, cut off their MLflow server and feed the programs spoiled files, at random.

python tools/soak.py                         # ten minutes, seed 0
python tools/soak.py --minutes 60 --seed 7
python tools/soak.py --trial 23              # one trial of that seed again, as a failure names it

Each trial is drawn from seed and number alone. Ends with a table and with code 1 unless all of it
is 0: points of a training that MLflow has lost, duplicated or has wrong; programs that hang; ends
in a traceback. What a trial has left is kept in --out if something was found, else removed.
"""

import argparse
import random
import shutil
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.errors import InputError, run_tool


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--minutes', type=float, default=10.0, help='no trial begins after them')
    parser.add_argument('--seed', type=int, default=0, help='decides about all trials')
    parser.add_argument('--trial', type=int, metavar='NUMBER', help='this one alone')
    parser.add_argument('--only', nargs='+', metavar='KIND', help='trials of these kinds alone')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/soak'), help='for all files')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run trials until the time is over."""
    arguments = build_parser().parse_args(argv)
    from soaking.accounts import Account
    from soaking.ground import Ground
    from soaking.trials import KINDS

    if unknown := set(arguments.only or ()) - {*KINDS}:
        raise InputError(
            f'--only: no such kind: {", ".join(unknown)}; there are {", ".join(KINDS)}'
        )
    kinds = {name: kind for name, kind in KINDS.items() if name in (arguments.only or KINDS)}
    account = Account()
    with Ground(arguments.out.absolute()) as ground:
        print(f'undisturbed: {ground.subject.duration_s:.1f} s', flush=True)
        deadline = time.monotonic() + 60 * arguments.minutes
        for number in count() if arguments.trial is None else [arguments.trial]:
            if arguments.trial is None and time.monotonic() > deadline:
                break
            rng = random.Random(f'{arguments.seed} {number}')
            (name,) = rng.choices([*kinds], [kind.weight for kind in kinds.values()])
            folder = ground.new_folder(f'{arguments.seed}_{number:04}_{name.replace(" ", "_")}')
            finding = kinds[name].run(ground, folder, rng)
            account.add(name, finding)
            print(f'{number:4} {name:12}', 'well' if finding.clean else f'see {folder}', flush=True)
            for line in finding.lines():
                print(f'       {line}', flush=True)
            if finding.clean:
                shutil.rmtree(folder)
    print(account.table())
    if account.num_faults:
        raise SystemExit(1)


if __name__ == '__main__':
    sys.exit(run_tool(main))
