"""The command lines ``tools/benchmark.py coco``, ``show`` and those of whole trainings."""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

from mmext.benchmark.report import RESULTS, Report, load_report, one_report
from mmext.cli.arguments import add_cfg_options, add_trust, trust_checkpoints
from mmext.errors import InputError

PRECISIONS = ('auto', 'fp32', 'bf16', 'fp16')
NIGHT_WAYS = ('source', 'photometric', 'fourier', 'histogram', 'mean_std', 'oracle')
PARTS = ('flops', 'accuracy', 'memory', 'training')

COCO_HELP = """\
Compare detectors in one run and write one table (Markdown, CSV, JSON), a plot and MLflow runs.

python tools/benchmark.py coco configs/upsnet.py=upsnet.pth \\
    mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py=panoptic_fpn.pth --cfg-options data_root=DIR

CONFIG is a file, mmext::... or mmdet::...; with =CHECKPOINT its accuracy is measured too, on
the test data of the config."""


def add_coco_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``coco``."""
    parser.add_argument('models', nargs='+', metavar='CONFIG[=CHECKPOINT]')
    add_cfg_options(parser)
    parser.add_argument(
        '--device', nargs='+', default=['auto'], help='cpu, cuda:0, ... (default: GPU if any)'
    )
    parser.add_argument(
        '--precision',
        nargs='+',
        choices=PRECISIONS,
        default=['auto'],
        help='default: fp32 and what the device computes natively',
    )
    parser.add_argument('--batch-size', type=int, default=4, help='default 4')
    parser.add_argument('--rounds', type=int, help='repetitions in turn (default 15, quick 3)')
    parser.add_argument('--threads', type=int, help="default: torch's")
    parser.add_argument(
        '--images', metavar='DIR', help='pictures to time with (default: generated, 640x480)'
    )
    parser.add_argument('--skip', nargs='+', choices=PARTS, default=[], help='leave out')
    parser.add_argument('--quick', action='store_true', help='3 rounds, no memory')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmark'), metavar='DIR')
    parser.add_argument(
        '--mlflow', metavar='URI|off', help='log there (default: a store in --out; off: do not)'
    )
    add_trust(parser)


def run_coco(arguments: argparse.Namespace) -> None:
    """Measure as the command line says."""
    from mmext.benchmark.candidates import load_candidates
    from mmext.benchmark.mlflow_runs import log_report
    from mmext.host import import_mmdet

    for name in ('batch_size', 'rounds', 'threads'):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f'--{name.replace("_", "-")}: expected 1 or more, got {value}')
    if 'auto' in arguments.precision and len(arguments.precision) > 1:
        raise InputError('--precision: auto stands for several and goes with no other')
    candidates = load_candidates(arguments.models, arguments.cfg_options)

    # takes seconds: after everything that can be checked without it
    import_mmdet()
    trust_checkpoints(arguments)
    import torch

    from mmext.benchmark.measuring import Settings, measure

    for module in ('mmdet', 'mmengine', 'torch'):  # advice to whoever wrote a config
        warnings.filterwarnings('ignore', category=UserWarning, module=module)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    default = 'cuda:0' if torch.cuda.is_available() else 'cpu'
    settings = Settings(
        devices=[default if name == 'auto' else name for name in arguments.device],
        precisions=arguments.precision,
        batch_size=arguments.batch_size,
        rounds=arguments.rounds or (3 if arguments.quick else 15),
        images=arguments.images,
        skip=[*arguments.skip, *(['memory'] if arguments.quick else [])],
        options=arguments.cfg_options,
        out=arguments.out,
    )
    report = measure(candidates, settings)
    files = write_results(report, arguments.out)
    if arguments.mlflow != 'off':
        log_report(report, files, arguments.out, arguments.mlflow)
    print(f'written: {", ".join(str(file) for file in files)}')


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``show``."""
    parser.add_argument('results', nargs='+', help='results.json of one run')
    parser.add_argument('--out', type=Path, metavar='DIR', help='also write table and plot there')


def run_show(arguments: argparse.Namespace) -> None:
    """Print results again; those of different runs are refused."""
    report = one_report([load_report(path) for path in arguments.results])
    if arguments.out is None:
        from mmext.benchmark.tables import markdown

        print(markdown(report))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_results(report, arguments.out)


def add_night_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``night``."""
    parser.add_argument('--seeds', type=int, default=3, help='detectors by day (default 3)')
    parser.add_argument('--steps', type=int, default=300, help='of each by day (default 300)')
    parser.add_argument(
        '--more-steps', type=int, default=100, help='of each way from there (default 100)'
    )
    parser.add_argument('--images', type=int, default=800, help='to train on (default 800)')
    parser.add_argument('--precision', choices=PRECISIONS, default='auto')
    parser.add_argument('--ways', nargs='+', choices=NIGHT_WAYS, default=NIGHT_WAYS)
    parser.add_argument(
        '--more', nargs='+', default=[], metavar='NAME=CONFIG', help='further rows of the table'
    )
    parser.add_argument('--out', type=Path, default=Path('work_dirs/night'), metavar='DIR')


def run_night(arguments: argparse.Namespace) -> None:
    """Measure what is not measured yet, and print the table."""
    check_counts(arguments, ('seeds', 'steps', 'more_steps', 'images'))
    more = dict(text.partition('=')[::2] for text in arguments.more)
    if '' in more or '' in more.values():
        raise InputError(f'--more: expected NAME=CONFIG, got {" ".join(arguments.more)}')
    from mmext.benchmark.night import Plan, measure_night, night_table
    from mmext.host import import_mmdet

    import_mmdet()
    chosen = {name: getattr(arguments, name) for name in Plan._fields}
    arguments.out.mkdir(parents=True, exist_ok=True)
    records = measure_night(Plan(**chosen), more)
    table = night_table(records)
    (arguments.out / 'night.md').write_text(table + '\n')
    print(table)


def add_super_resolution_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``super-resolution``."""
    parser.add_argument('--steps', type=int, default=1200, help='by pixels (default 1200)')
    parser.add_argument(
        '--more-steps', type=int, default=300, help='of each way from there (default 300)'
    )
    parser.add_argument(
        '--checkpoint', metavar='FILE', help='of the detector (default: trained here)'
    )
    parser.add_argument(
        '--detector-steps', type=int, default=800, help='of the detector (default 800)'
    )
    parser.add_argument('--images', type=int, default=800, help='to train on (default 800)')
    parser.add_argument('--precision', choices=PRECISIONS, default='auto')
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='of the table (default all)')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/super_resolution'), metavar='DIR'
    )


def run_super_resolution(arguments: argparse.Namespace) -> None:
    """Measure what is not measured yet, and print the table."""
    check_counts(arguments, ('steps', 'more_steps', 'detector_steps', 'images'))
    from mmext.benchmark.super_resolution import (
        ROWS,
        Plan,
        measure_super_resolution,
        super_resolution_table,
    )
    from mmext.host import import_mmdet

    import_mmdet()
    arguments.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(**{name: getattr(arguments, name) for name in Plan._fields})
    table = super_resolution_table(measure_super_resolution(plan, arguments.rows or ROWS))
    (arguments.out / 'super_resolution.md').write_text(table + '\n')
    print(table)


def add_rare_class_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``rare-class``."""
    parser.add_argument('--name', default='fish', help='the rare class (default fish)')
    parser.add_argument('--kept', type=int, default=10, help='pictures of it (default 10)')
    parser.add_argument('--seeds', type=int, default=2, help='detectors (default 2)')
    parser.add_argument('--steps', type=int, default=250, help='of each (default 250)')
    parser.add_argument(
        '--more-steps', type=int, default=75, help='of each way from there (default 75)'
    )
    parser.add_argument(
        '--crop-steps', type=int, default=800, help='of the GAN of crops (default 800)'
    )
    parser.add_argument(
        '--photo-steps', type=int, default=1500, help='of the translator of maps (default 1500)'
    )
    parser.add_argument('--images', type=int, default=600, help='before some go (default 600)')
    parser.add_argument('--precision', choices=PRECISIONS, default='auto')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/rare_class'), metavar='DIR')


def run_rare_class(arguments: argparse.Namespace) -> None:
    """Measure what is not measured yet, and print the table."""
    counts = ('kept', 'seeds', 'steps', 'more_steps', 'crop_steps', 'photo_steps', 'images')
    check_counts(arguments, counts)
    from mmext.benchmark.rare_class import Plan, measure_rare_class, rare_class_table
    from mmext.host import import_mmdet

    import_mmdet()
    arguments.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(**{name: getattr(arguments, name) for name in Plan._fields})
    table = rare_class_table(measure_rare_class(plan))
    (arguments.out / 'rare_class.md').write_text(table + '\n')
    print(table)


def check_counts(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """InputError if one of these arguments is below 1."""
    for name in names:
        if getattr(arguments, name) < 1:
            raise InputError(
                f'--{name.replace("_", "-")}: expected 1 or more, got {getattr(arguments, name)}'
            )


def write_results(report: Report, out: Path) -> Sequence[Path]:
    """Write data, tables and plot, print the table; returns the files."""
    from mmext.benchmark.plot import plot
    from mmext.benchmark.tables import comma_separated, markdown

    files = [out / name for name in (RESULTS, 'results.md', 'results.csv', 'results.png')]
    table = markdown(report)
    report.save(files[0])
    caption = plot(report, files[3])
    if caption is not None:
        table += f'\n![{caption}]({files[3].name})\n'
    else:
        files.pop()
    files[1].write_text(table)
    files[2].write_text(comma_separated(report))
    print(table)
    return files
