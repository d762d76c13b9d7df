"""What a detector finds of a class with few examples, and what more of them, made, are worth.

A rare set: all pictures without the class, and the first few with it. For each seed one detector
is trained on it; from its weights every way goes on for the same few steps: as before, with the
few pictures shown more often, with objects pasted in (real or made), with photos that a
translator makes of label maps, and, as what could be reached, with the photos of these maps. No
network of a way has seen another picture of the class than the detector has.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmext.benchmark.night import set_schedule, trained
from mmext.benchmark.quiet_runs import quiet, quiet_config, set_length
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError
from mmext.formats.json_files import read_json

DETECTOR = 'mmext::yolact_edge_demo.py'
CROPS = 'mmext::translation/crops_demo.py'
TRANSLATOR = 'mmext::pix2pix_demo.py'
ANNOTATIONS = 'annotations/'
SHARED, FEW, MAPS = 'shared_', 'few_', 'maps_'
"""Beginnings of annotation files: the rare set, the pictures of the class in it, those left out."""


class Plan(NamedTuple):
    """Of what, how long and where.

    Attributes:
        name: the rare class.
        kept: pictures of it.
        seeds: detectors.
        steps: of each on the rare set.
        more_steps: of each way from there.
        crop_steps: of the GAN of crops.
        photo_steps: of the translator of maps.
        precision: of :func:`~mmext.configuration.set_precision`.
        images: training pictures before some are left out; 20 % as many are held out.
        out: folder of the data, the weights and ``rare_class.json``.
    """

    name: str
    kept: int
    seeds: int
    steps: int
    more_steps: int
    crop_steps: int
    photo_steps: int
    precision: str
    images: int
    out: Path


def split_rare(content: Mapping[str, Any], name: str, kept: int) -> dict[str, set[int]]:
    """Image ids of the parts of a COCO file, by the beginnings of their files.

    Raises:
        InputError: no such class, or not more pictures of it than are kept.

    >>> found = split_rare(dict(categories=[dict(id=7, name='fish')], images=[
    ...     dict(id=number) for number in range(4)], annotations=[
    ...     dict(image_id=1, category_id=7), dict(image_id=3, category_id=7)]), 'fish', 1)
    >>> found == {'shared_': {0, 1, 2}, 'few_': {1}, 'maps_': {3}}
    True
    """
    ids = [each['id'] for each in content['categories'] if each['name'] == name]
    if not ids:
        names = ', '.join(each['name'] for each in content['categories'])
        raise InputError(f'no class {name!r} in the data set; it has {names}')
    of_class = sorted({a['image_id'] for a in content['annotations'] if a['category_id'] in ids})
    if len(of_class) <= kept:
        raise InputError(f'{len(of_class)} pictures of {name!r}; more than {kept} are needed')
    few, left_out = set(of_class[:kept]), set(of_class[kept:])
    everywhere = {image['id'] for image in content['images']}
    return {SHARED: everywhere - left_out, FEW: few, MAPS: left_out}


def _write_data(plan: Plan) -> Path:
    """The generated set, with an annotation file for each part."""
    data = plan.out / 'data'
    write_panoptic_dataset(data, num_train=plan.images, num_val=max(2, plan.images // 5))
    folder = data / ANNOTATIONS
    parts = split_rare(read_json(folder / 'instances_train2017.json'), plan.name, plan.kept)
    for file in ('instances_train2017.json', 'panoptic_train2017.json'):
        content = read_json(folder / file)
        for part, ids in parts.items():
            chosen = {
                **content,
                'images': [each for each in content['images'] if each['id'] in ids],
                'annotations': [a for a in content['annotations'] if a['image_id'] in ids],
            }
            (folder / f'{part}{file}').write_text(json.dumps(chosen))
    return data


def _config(plan: Plan, data: Path, name: str, seed: int) -> Any:
    """A config on the rare set."""
    config = quiet_config(name, data, plan.precision, plan.out)
    config.merge_from_dict(dict(randomness=dict(seed=seed)))
    dataset = config.train_dataloader.dataset
    dataset = dataset.get('dataset', dataset)
    _move(dataset, SHARED)
    return config


def _move(dataset: Any, part: str) -> None:
    file = dataset.ann_file.rpartition('/')
    dataset.ann_file = f'{file[0]}/{part}{file[2].removeprefix(SHARED)}'


def _joined(config: Any, part: str, times: int = 1, photos: str | None = None) -> None:
    """Show another part of the data set beside the rare set, as it is or with other photos."""
    rare = config.train_dataloader.dataset
    more = copy.deepcopy(rare)
    _move(more, part)
    if photos is not None:
        more.data_prefix = dict(img=photos)
    repeated = dict(type='RepeatDataset', times=times, dataset=more)
    config.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[rare, repeated])


class Sources(NamedTuple):
    """What the ways take: files of crops, a folder of made photos, pictures left out per kept."""

    real: Path
    made: Path
    photos: Path
    times: int


def _pasting(which: str) -> Callable[[Any, Sources], None]:
    def change(config: Any, sources: Sources) -> None:
        step = dict(type='mmext.PasteCrops', crops=str(getattr(sources, which)))
        config.train_dataloader.dataset.pipeline.insert(2, step)

    return change


WAYS: dict[str, Callable[[Any, Sources], None]] = {
    'as before': lambda config, sources: None,
    'shown more often': lambda config, sources: _joined(config, FEW, sources.times),
    'real crops': _pasting('real'),
    'made crops': _pasting('made'),
    'made photos': lambda config, sources: _joined(config, MAPS, photos=str(sources.photos) + '/'),
    'real photos': lambda config, sources: _joined(config, MAPS),
}


def measure_rare_class(
    plan: Plan, ways: Sequence[str] = tuple(WAYS), say: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Train and test every way; what ``rare_class.json`` has already is not done again.

    Args:
        plan: of what, how long, where.
        ways: of :data:`WAYS`.
        say: told about each result.

    Returns:
        One record for each seed and way: ``seed``, ``way`` and ``values``, percent by column.

    Raises:
        InputError: ``rare_class.json`` is of another plan, or no class of that name.
    """
    stored = plan.out / 'rare_class.json'
    identity = [value for name, value in plan._asdict().items() if name not in ('seeds', 'out')]
    content = json.loads(stored.read_text()) if stored.is_file() else {'plan': identity}
    if content['plan'] != identity:
        raise InputError(
            f'{stored}: measured by another plan, {content["plan"]}; choose another --out'
        )
    records: list[dict[str, Any]] = content.setdefault('records', [])
    data = _write_data(plan)
    sources = _sources(plan, data)
    done = {(record['seed'], record['way']) for record in records}
    for seed in range(plan.seeds):
        for way in ways:
            if (seed, way) in done:
                continue
            values = _way(plan, data, seed, way, sources)
            records.append(dict(seed=seed, way=way, values=values))
            stored.write_text(json.dumps(content, indent=1))
            say(f'seed {seed}, {way}: {values}')
    return [record for record in records if record['seed'] < plan.seeds]


def _way(plan: Plan, data: Path, seed: int, way: str, sources: Sources) -> dict[str, float]:
    """The values of a detector that went on in one way."""
    import torch

    start = plan.out / f'detector_{seed}.pth'
    if not start.is_file():
        config = _config(plan, data, DETECTOR, seed)
        set_schedule(config, plan.steps, rate=1.0)
        torch.save(dict(state_dict=trained(config).model.state_dict(), meta={}), start)
    config = _config(plan, data, DETECTOR, seed)
    WAYS[way](config, sources)
    set_schedule(config, plan.more_steps, rate=0.5)
    config.load_from = str(start)
    config.test_evaluator.classwise = True
    runner = trained(config)
    with quiet():
        found = runner.test()
    return _values(found, plan.name)


def _values(found: Mapping[str, Any], name: str) -> dict[str, float]:
    """Percent: AP of the rare class, and the mean of the others, of boxes and of masks."""
    values = {}
    for kind, key in (('box', 'bbox'), ('mask', 'segm')):
        start = f'coco/{key}_mAP/'
        by_class = {
            k.removeprefix(start): float(v) for k, v in found.items() if k.startswith(start)
        }
        rare = by_class.pop(name)
        values[f'{kind} AP'] = 100 * rare
        values[f'{kind} AP of the others'] = 100 * sum(by_class.values()) / len(by_class)
    return {column: round(value, 12) for column, value in values.items()}


def _sources(plan: Plan, data: Path) -> Sources:
    """Real and made crops of the rare set, and photos of the maps that were left out."""
    from mmext.registry import DATASETS
    from mmext.translation.crop_bank import CropBank, write_crops

    real, made = plan.out / 'real.npz', plan.out / 'made.npz'
    config = _config(plan, data, CROPS, 0)
    if not real.is_file():
        bank: CropBank = DATASETS.build(config.train_dataloader.dataset).bank()
        write_crops(real, bank.of_classes([plan.name]))
    if not made.is_file():
        write_crops(made, _made_crops(plan, config))
    photos = plan.out / 'photos'
    if not photos.is_dir():
        _make_photos(plan, data, photos)
    folder = data / ANNOTATIONS
    counts = [
        len(read_json(folder / f'{p}instances_train2017.json')['images']) for p in (MAPS, FEW)
    ]
    return Sources(real, made, photos.absolute(), max(round(counts[0] / counts[1]), 1))


def _made_crops(plan: Plan, config: Any) -> Any:
    """200 crops of the rare class by networks that have seen the crops of the rare set."""
    import torch

    from mmext.translation.crop_bank import CropBank

    set_length(config, plan.crop_steps)
    config.param_scheduler[0].end = plan.crop_steps
    model = trained(config).model
    torch.save(dict(state_dict=model.state_dict(), meta={}), plan.out / 'crops.pth')
    classes = tuple(config.train_dataloader.dataset.dataset.metainfo.classes)
    labels = torch.full((200,), classes.index(plan.name))
    model.eval()
    return CropBank(model.make(labels).numpy(), labels.numpy(), classes)


def _make_photos(plan: Plan, data: Path, photos: Path) -> None:
    """Photos of the left-out maps by a translator that has seen the rare set."""
    from mmext.inference.translation import translate_maps

    config = _config(plan, data, TRANSLATOR, 0)
    maps = config.test_dataloader
    for loop in ('val', 'test'):  # no detector judges
        config.update({f'{loop}_{part}': None for part in ('dataloader', 'cfg', 'evaluator')})
    steps = plan.photo_steps
    set_length(config, steps)
    config.param_scheduler[0].update(begin=steps // 2, end=steps)
    model = trained(config).model
    maps.dataset.update(config.train_dataloader.dataset, pipeline=maps.dataset.pipeline)
    _move(maps.dataset, MAPS)
    config.test_dataloader = maps
    unfinished = photos.with_name('photos_unfinished')
    unfinished.mkdir(exist_ok=True)
    translate_maps(config, 'test', model, unfinished, 'cpu')
    unfinished.rename(photos)


def rare_class_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Means over the seeds in Markdown, each seed of the rare class's boxes behind.

    >>> print(rare_class_table([dict(seed=0, way='as before', values={
    ...     'box AP': 12.34, 'mask AP': 10.0})]))
    | training | box AP | mask AP | box AP by seed |
    |---|---|---|---|
    | as before | 12.3 | 10.0 | 12.3 |
    """
    columns = list(records[0]['values'])
    lines = ['| ' + ' | '.join(['training', *columns, 'box AP by seed']) + ' |']
    lines.append('|---' * (len(columns) + 2) + '|')
    for way in dict.fromkeys(record['way'] for record in records):
        own = [record['values'] for record in records if record['way'] == way]
        cells = [f'{sum(each[column] for each in own) / len(own):.1f}' for column in columns]
        seeds = ', '.join(f'{each["box AP"]:.1f}' for each in own)
        lines.append('| ' + ' | '.join([way, *cells, seeds]) + ' |')
    return '\n'.join(lines)
