"""What larger pictures are worth, by four losses, for the eye and for a detector.

One generator each learns by squared and by absolute differences; from the second, one goes on by
what a detector's backbone sees as well, and one with a discriminator beside it. All are tested on
held-out pictures, beside bicubic interpolation and the originals. The detector was trained on
originals and stays as it is.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from mmext.benchmark.quiet_runs import quiet, quiet_config, set_length
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError

DETECTOR = 'mmext::upsnet_demo.py'
FOLDER = 'mmext::translation/'
BEGINNING = 'MAE'
"""The row whose generator the later ones go on from."""
CONFIGS = {
    'MSE': 'super-resolution_mse_demo.py',
    'MAE': 'super-resolution_demo.py',
    'MAE + perceptual': 'super-resolution_perceptual_demo.py',
    'MAE + perceptual + GAN': 'super-resolution_gan_demo.py',
}
ROWS = ('bicubic', *CONFIGS, 'original')
COLUMNS = {
    'psnr': 'PSNR, dB',
    'ssim': 'SSIM',
    'gradient_energy': 'gradient energy',
    'bbox_mAP': 'box AP',
    'bbox_mAP_s': 'of small objects',
    'bbox_mAP_m': 'of medium ones',
}
"""End of a value's name -> column."""
_SHARES = ('bbox_mAP', 'bbox_mAP_s', 'bbox_mAP_m')  # 0 to 1, shown in percent


class Plan(NamedTuple):
    """How long, of what, and where.

    Attributes:
        steps: of the first two generators.
        more_steps: of the others, from there.
        detector_steps: of the detector, where ``checkpoint`` is None.
        precision: of the trainings, see :func:`~mmext.configuration.set_precision`; tests are in
            fp32.
        images: training pictures; 15 % as many are held out.
        checkpoint: weights of the detector, of :data:`DETECTOR`.
        out: folder of the data, the weights and ``super_resolution.json``.
    """

    steps: int
    more_steps: int
    detector_steps: int
    precision: str
    images: int
    checkpoint: str | None
    out: Path


def measure_super_resolution(
    plan: Plan, rows: Sequence[str] = ROWS, say: Callable[[str], None] = print
) -> dict[str, dict[str, float]]:
    """Train and test; what ``super_resolution.json`` has already is not done again.

    Args:
        plan: how long, of what, where.
        rows: of the table.
        say: told about each result.

    Returns:
        Row -> column -> value; AP in percent.

    Raises:
        InputError: an unknown row, or ``super_resolution.json`` is of another plan.
    """
    unknown = [row for row in rows if row not in ROWS]
    if unknown:
        raise InputError(f'no row {unknown[0]!r}; expected some of {", ".join(ROWS)}')
    data = plan.out / 'data'
    write_panoptic_dataset(data, num_train=plan.images, num_val=max(2, plan.images * 3 // 20))
    stored = plan.out / 'super_resolution.json'
    found = _read(stored, plan)
    weights = _detector(plan, data)
    for row in rows:
        if row not in found:
            generator = _generator(plan, data, row, weights)
            found[row] = _values(_test(plan, data, row, weights, generator))
            content = dict(plan=_identity(plan), rows=found)
            stored.write_text(json.dumps(content, indent=1))
            say(f'{row}: {found[row]}')
    return {row: found[row] for row in ROWS if row in found}


def _identity(plan: Plan) -> list[Any]:
    return [*plan[:-2]]


def _read(stored: Path, plan: Plan) -> dict[str, dict[str, float]]:
    if not stored.is_file():
        return {}
    content = json.loads(stored.read_text())
    if content['plan'] != _identity(plan):
        raise InputError(
            f'{stored}: measured with steps, more steps, steps of the detector, precision, images '
            f'{content["plan"]}, now {_identity(plan)}; choose another --out'
        )
    rows: dict[str, dict[str, float]] = content['rows']
    return rows


def _detector(plan: Plan, data: Path) -> str:
    """The weights that judge, trained on originals where none are given."""
    if plan.checkpoint is not None:
        if not Path(plan.checkpoint).is_file():
            raise InputError(f'--checkpoint: no file {Path(plan.checkpoint).absolute()}')
        return plan.checkpoint
    file = plan.out / 'detector.pth'
    if not file.is_file():
        config = quiet_config(DETECTOR, data, plan.precision, plan.out)
        steps = plan.detector_steps
        config.param_scheduler[0].end = config.param_scheduler[1].begin = min(50, steps // 2)
        config.param_scheduler[1].end = steps
        _train(config, steps, file)
    return str(file)


def _generator(plan: Plan, data: Path, row: str, weights: str) -> Path | None:
    """The weights of a row's generator; None for those that learn nothing."""
    if row not in CONFIGS:
        return None
    file = plan.out / f'{CONFIGS[row].removesuffix(".py")}.pth'
    if not file.is_file():
        config = quiet_config(FOLDER + CONFIGS[row], data, plan.precision, plan.out)
        steps = plan.steps
        if config.model.get('perceptual'):
            steps = plan.more_steps
            beginning = _generator(plan, data, BEGINNING, weights)
            config.model.generator.init_cfg.checkpoint = str(beginning)
            config.model.perceptual.network.checkpoint = weights
        config.param_scheduler[0].end = steps
        _train(config, steps, file)
    return file


def _train(config: Any, steps: int, file: Path) -> None:
    import torch

    set_length(config, steps)
    runner = _quietly(config, lambda runner: runner.train())
    torch.save(dict(state_dict=runner.model.state_dict(), meta={}), file)


def _test(
    plan: Plan, data: Path, row: str, weights: str, generator: Path | None
) -> Mapping[str, Any]:
    config = quiet_config(FOLDER + CONFIGS[BEGINNING], data, 'fp32', plan.out)
    config.default_hooks.pop('precision', None)  # interpolation has no weights to look at
    key = 'target' if row == 'original' else 'translated'
    if generator is None:
        config.model.generator = dict(type='mmext.BicubicUpscaler')
    else:
        config.load_from = str(generator)
    judge = dict(
        type='mmext.DetectorJudge',
        config=DETECTOR,
        checkpoint=weights,
        field=key,
        metrics=[
            dict(
                type='mmext.CocoDetectionMetric',
                ann_file=str(data / 'annotations/instances_val2017.json'),
            )
        ],
    )
    pictures = dict(copy.deepcopy(config.test_evaluator), field=key)
    config.test_evaluator = [pictures, judge]
    found: dict[str, Any] = {}
    _quietly(config, lambda runner: found.update(runner.test()))
    return found


def _quietly(config: Any, act: Callable[[Any], Any]) -> Any:
    from mmengine.runner import Runner

    with quiet():
        runner = Runner.from_cfg(config)
        act(runner)
    return runner


def _values(found: Mapping[str, Any]) -> dict[str, float]:
    """The columns of the table."""
    by_end = {name.rpartition('/')[2]: v for name, v in found.items() if isinstance(v, Real)}
    return {
        name: float(by_end[name]) * (100 if name in _SHARES else 1)
        for name in COLUMNS
        if name in by_end
    }


def super_resolution_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """The rows in Markdown.

    >>> print(super_resolution_table({'bicubic': {'psnr': 25.0, 'bbox_mAP_s': 12.34}}))
    | pictures | PSNR, dB | SSIM | gradient energy | box AP | of small objects | of medium ones |
    |---|---|---|---|---|---|---|
    | bicubic | 25.00 |  |  |  | 12.3 |  |
    """
    lines = ['| ' + ' | '.join(['pictures', *COLUMNS.values()]) + ' |', '|---' * 7 + '|']
    for row, values in rows.items():
        cells = [
            f'{values[name]:.{1 if name in _SHARES else 3 if name == "ssim" else 2}f}'
            if name in values
            else ''
            for name in COLUMNS
        ]
        lines.append('| ' + ' | '.join([row, *cells]) + ' |')
    return '\n'.join(lines)
