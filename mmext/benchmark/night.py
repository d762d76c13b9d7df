"""What a detector loses at night, and how much of it comes back without a label of the night.

For each seed one detector is trained by day. From its weights every way then goes on for the same
few steps: with the same pictures (`source`), with random colors (`photometric`), with the looks
of night photos of other scenes (`fourier`, `histogram`, `mean_std`), or, as what could be reached,
with labelled night pictures for every second one (`oracle`). All are tested by day and at night.
"""

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from mmext.benchmark.accuracy import columns
from mmext.benchmark.quiet_runs import quiet, quiet_config, set_length
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError

CONFIG = 'mmext::translation/night_demo.py'
MATCHING = 'mmext.MatchAppearance'
LIGHTS = {'night': 'val', 'day': 'test'}
"""Which loop of the config sees which light."""

Values = dict[str, dict[str, float]]
"""Light -> column -> percent."""


class Plan(NamedTuple):
    """How long, how often and where.

    Attributes:
        seeds: how many detectors are trained by day.
        steps: of a detector by day.
        more_steps: of each way from there.
        precision: of :func:`~mmext.configuration.set_precision`.
        images: training pictures of either light; 15 % as many are held out.
        ways: rows of the table, of :data:`WAYS`.
        out: folder of the data, the weights and ``night.json``.
    """

    seeds: int
    steps: int
    more_steps: int
    precision: str
    images: int
    ways: Sequence[str]
    out: Path


def _replace_step(config: Any, step: Mapping[str, Any] | None) -> None:
    """Puts a transform into the place of the one that matches appearances, or none."""
    dataset = config.train_dataloader.dataset
    place = [each['type'] for each in dataset.pipeline].index(MATCHING)
    dataset.pipeline[place : place + 1] = [] if step is None else [dict(step)]


def _source(config: Any) -> None:
    _replace_step(config, None)


def _photometric(config: Any) -> None:
    _replace_step(config, dict(type='PhotoMetricDistortion'))


def _matching(method: str) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        steps = config.train_dataloader.dataset.pipeline
        next(each for each in steps if each['type'] == MATCHING)['method'] = method

    return change


def _oracle(config: Any) -> None:
    _replace_step(config, None)
    day = config.train_dataloader.dataset
    night = copy.deepcopy(day)
    night.data_root = config.val_dataloader.dataset.data_root
    config.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[day, night])


WAYS: dict[str, Callable[[Any], None]] = {
    'source': _source,
    'photometric': _photometric,
    'fourier': _matching('fourier'),
    'histogram': _matching('histogram'),
    'mean_std': _matching('mean_std'),
    'oracle': _oracle,
}


def measure_night(
    plan: Plan, more: Mapping[str, str], say: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Train and test every way; what ``night.json`` has already is not done again.

    Args:
        plan: how long, how often, where.
        more: further ways: name -> config with the same model and data roots.
        say: told about each result.

    Returns:
        One record for each seed and way: ``seed``, ``way``, and percent by column in ``night`` and
        ``day``.

    Raises:
        InputError: ``night.json`` is of another plan, or a name is taken.
    """
    taken = sorted(set(more) & set(WAYS))
    if taken:
        raise InputError(f'--more: {taken[0]} is a row of the table already, choose another name')
    data = _write_data(plan)
    stored = plan.out / 'night.json'
    identity = [plan.steps, plan.more_steps, plan.precision, plan.images]
    records = _read(stored, identity)
    done = {(record['seed'], record['way']) for record in records}
    for seed in range(plan.seeds):
        for way in [*plan.ways, *more]:
            if (seed, way) in done:
                continue
            weights = _day_weights(plan, data, seed)
            config = _config(plan, data, seed, more.get(way, CONFIG))
            if way in WAYS:
                WAYS[way](config)
            set_schedule(config, plan.more_steps, rate=0.5)
            config.load_from = str(weights)
            values = _tested(trained(config))
            records.append(dict(seed=seed, way=way, **values))
            stored.write_text(json.dumps(dict(plan=identity, records=records), indent=1))
            say(f'seed {seed}, {way}: {values}')
    return [record for record in records if record['seed'] < plan.seeds]


def _write_data(plan: Plan) -> Path:
    held_out = max(2, plan.images * 3 // 20)
    for light, seed in (('day', 0), ('night', 1)):
        folder = plan.out / 'data' / light
        write_panoptic_dataset(
            folder, num_train=plan.images, num_val=held_out, light=light, seed=seed
        )
    return plan.out / 'data'


def _read(stored: Path, identity: list[Any]) -> list[dict[str, Any]]:
    if not stored.is_file():
        return []
    content = json.loads(stored.read_text())
    if content['plan'] != identity:
        raise InputError(
            f'{stored}: measured with steps, more steps, precision, images {content["plan"]}, '
            f'now {identity}; choose another --out'
        )
    records: list[dict[str, Any]] = content['records']
    return records


def _day_weights(plan: Plan, data: Path, seed: int) -> Path:
    """The weights of the detector that was trained by day, trained where they are not there."""
    import torch

    file = plan.out / f'day_{seed}.pth'
    if not file.is_file():
        config = _config(plan, data, seed, CONFIG)
        _source(config)
        set_schedule(config, plan.steps, rate=1.0)
        torch.save(dict(state_dict=trained(config).model.state_dict(), meta={}), file)
    return file


def _config(plan: Plan, data: Path, seed: int, name: str) -> Any:
    config = quiet_config(name, data, plan.precision, plan.out)
    config.merge_from_dict(dict(randomness=dict(seed=seed)))
    return config


def set_schedule(config: Any, steps: int, rate: float) -> None:
    """Warm-up and cosine over ``steps``."""
    set_length(config, steps)
    config.optim_wrapper.optimizer.lr *= rate
    warm_up = min(50, steps // 10 + 1)
    config.param_scheduler[0].end = warm_up
    config.param_scheduler[1].update(begin=warm_up, end=max(steps, warm_up + 1))


def trained(config: Any) -> Any:
    """The runner after its training."""
    from mmengine.runner import Runner

    with quiet():
        runner = Runner.from_cfg(config)
        runner.train()
        return runner


def _tested(runner: Any) -> Values:
    """By day and at night."""
    found: Values = {}
    with quiet():
        for light, loop in LIGHTS.items():
            values = getattr(runner, loop)()
            found[light] = columns({k: float(v) for k, v in values.items() if isinstance(v, Real)})
    return found


SHOWN = ('box AP', 'mask AP', 'PQ')


def night_table(records: Sequence[Mapping[str, Any]]) -> str:
    """The means over the seeds as a Markdown table.

    PQ has its lowest and highest seed beside it. Closed is the share of what lies between `source`
    and `oracle` at night, by the mean of box AP, mask AP and PQ.

    >>> day = {'box AP': 60.0, 'mask AP': 60.0, 'PQ': 70.0}
    >>> dark = lambda way, value: dict(
    ...     seed=0, way=way, day=day, night=dict.fromkeys(day, value))
    >>> print(night_table([dark('source', 20.0), dark('mine', 30.0), dark('oracle', 40.0)]))
    | training | night: box AP | mask AP | PQ | day: box AP | mask AP | PQ | gap closed |
    |---|---|---|---|---|---|---|---|
    | source | 20.0 | 20.0 | 20.0 (20.0 to 20.0) | 60.0 | 60.0 | 70.0 (70.0 to 70.0) | 0 % |
    | mine | 30.0 | 30.0 | 30.0 (30.0 to 30.0) | 60.0 | 60.0 | 70.0 (70.0 to 70.0) | 50 % |
    | oracle | 40.0 | 40.0 | 40.0 (40.0 to 40.0) | 60.0 | 60.0 | 70.0 (70.0 to 70.0) | 100 % |
    """
    ways = list(dict.fromkeys(record['way'] for record in records))
    heads = [f'night: {SHOWN[0]}', *SHOWN[1:], f'day: {SHOWN[0]}', *SHOWN[1:], 'gap closed']
    lines = ['| training | ' + ' | '.join(heads) + ' |', '|---' * (1 + len(heads)) + '|']
    levels = {way: _level(records, way) for way in ways}
    low, high = (levels.get(way, math.nan) for way in ('source', 'oracle'))
    for way in ways:
        cells = [_cell(records, way, light, name) for light in LIGHTS for name in SHOWN]
        share = 100 * (levels[way] - low) / (high - low) if high != low else math.nan
        closed = f'{share:.0f} %' if math.isfinite(share) else ''
        lines.append('| ' + ' | '.join([way, *cells, closed]) + ' |')
    return '\n'.join(lines)


def _of(records: Sequence[Mapping[str, Any]], way: str, light: str, name: str) -> list[float]:
    return [record[light][name] for record in records if record['way'] == way]


def _level(records: Sequence[Mapping[str, Any]], way: str) -> float:
    values = [value for name in SHOWN for value in _of(records, way, 'night', name)]
    return sum(values) / len(values)


def _cell(records: Sequence[Mapping[str, Any]], way: str, light: str, name: str) -> str:
    values = _of(records, way, light, name)
    mean = f'{sum(values) / len(values):.1f}'
    return f'{mean} ({min(values):.1f} to {max(values):.1f})' if name == 'PQ' else mean
