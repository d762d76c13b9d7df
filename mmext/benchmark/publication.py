"""Where the speed claims of the README come from.

``docs/benchmarks.json`` holds the rows of every component benchmark as they were measured last,
each with its machine and time; ``docs/benchmarks.md`` and the marked block of ``README.md`` are
generated from it. The README shows five rows, the document all of them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmext.benchmark.rows import Row, table
from mmext.errors import InputError

BEGIN, END = '<!-- benchmarks:begin -->', '<!-- benchmarks:end -->'
_MACHINE = ('CPU', 'cores', 'threads', 'torch')

# what the README shows: benchmark, what, against
HEADLINES = (
    ('centernet-points', 'inference of CenterNet, ResNet-18 with DCN, 512x512', 'mmdet'),
    ('centernet-points', 'training iteration of CenterNet, ResNet-18 with DCN, 4x512x512', 'mmdet'),
    ('panoptic-head', 'panoptic inference, 800x1216, 133 classes, 100 instances', 'dense maps'),
    ('coco-detection', 'box evaluation, 1500 images, 150000 detections', 'pycocotools'),
    ('mlflow', 'time that MLflow blocks an iteration, HTTP', "mmengine's backend"),
)


_GROWTH = """## How cost grows

![time and memory against pictures at once, size of the picture and objects](growth.png)

`python tools/benchmarks/growth.py --plot docs/growth.png`; where it is not varied, one picture of
192x256 with 100 objects, random weights. Memory is what a prediction takes beyond the model.
"""
# what a user waits for as a whole comes before parts of it
END_TO_END = ('inference', 'runtimes', 'retinaface', 'precision', 'upsnet-training', 'vpsnet')


def end_to_end_first(names: Iterable[str]) -> list[str]:
    """Names of benchmarks: whole predictions and trainings, then parts by the alphabet.

    >>> end_to_end_first(['layers', 'mlflow', 'runtimes', 'inference'])
    ['inference', 'runtimes', 'layers', 'mlflow']
    """
    ranks = {name: rank for rank, name in enumerate(END_TO_END)}
    return sorted(names, key=lambda name: (ranks.get(name, len(ranks)), name))


@dataclass(frozen=True)
class Measured:
    """The rows of one benchmark.

    Attributes:
        started: ISO 8601.
        machine: facts by name, see :mod:`.machine`.
        rows: what ``run`` returned.
    """

    started: str
    machine: Mapping[str, str]
    rows: Sequence[Row]


def save(results: Mapping[str, Measured], path: Path) -> None:
    """Write the results of benchmarks by name."""
    content = {
        name: {
            'started': found.started,
            'machine': dict(found.machine),
            'rows': [_entry(row) for row in found.rows],
        }
        for name, found in sorted(results.items())
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + '\n')


def load(path: Path) -> dict[str, Measured]:
    """Read what :func:`save` wrote; nothing where there is no file.

    Raises:
        InputError: it is another file.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text())
        return {name: _measured(entry) for name, entry in content.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{path} holds no results of benchmarks: {error}') from error


def publish(results: Mapping[str, Measured], root: Path) -> None:
    """Put results in the place of older ones of the same names, and generate what shows them.

    Args:
        results: by name of the benchmark; those of others are kept.
        root: of the checkout.

    Raises:
        InputError: it is no checkout, or its README has no marked block.
    """
    readme, data = root / 'README.md', root / 'docs' / 'benchmarks.json'
    if not readme.is_file():
        raise InputError(f'--publish: no README.md in {root.absolute()}; run it in a checkout')
    together = load(data) | dict(results)
    text = with_block(readme.read_text(), readme_block(together))
    save(together, data)
    data.with_suffix('.md').write_text(document(together))
    readme.write_text(text)


def readme_block(results: Mapping[str, Measured]) -> str:
    """The rows of :data:`HEADLINES`, as far as they were measured, as the README shows them."""
    found = {(n, row.what, row.against): row for n in results for row in results[n].rows}
    shown = [key for key in HEADLINES if key in found]
    places = list(dict.fromkeys(_place(results[name]) for name, _, _ in shown))
    return (
        f'{table([found[key] for key in shown], with_aims=False)}\n\nEach ratio is of medians '
        f'taken in turn in one process, on: {"; ".join(places) or "no machine yet"}. All rows, '
        'with the aims that were set: [docs/benchmarks.md](docs/benchmarks.md).'
    )


def document(results: Mapping[str, Measured]) -> str:
    """All rows, a section for each benchmark, those of whole predictions and trainings first."""
    sections = [
        f'## {name}\n\n{table(results[name].rows)}\n\n{_place(results[name])}, '
        f'load {results[name].machine.get("load", "unknown")}, {results[name].started[:10]}.\n'
        for name in end_to_end_first(results)
    ]
    head = '# Benchmarks\n\nGenerated by `tools/benchmark.py all --publish`.\n'
    return '\n'.join([head, _GROWTH, *sections])


def with_block(text: str, block: str) -> str:
    """The text with another marked block.

    Raises:
        InputError: it has no block, or several.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f'--publish: expected README.md to have {BEGIN} and, later, {END} once')
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f'{before}{BEGIN}\n{block}\n{END}{after}'


def block_of(text: str) -> str:
    """What stands between the marks."""
    return text.partition(BEGIN)[2].partition(END)[0].strip('\n')


def _place(found: Measured) -> str:
    facts = [f'{name} {found.machine[name]}' for name in _MACHINE if name in found.machine]
    graphics = [value for name, value in found.machine.items() if name.startswith('cuda')]
    return ', '.join([*graphics, *facts])


def _entry(row: Row) -> dict[str, Any]:
    return {**row._asdict(), 'ratio': row.ratio, 'verdict': row.verdict}


def _measured(entry: dict[str, Any]) -> Measured:
    rows = [Row(**{name: row[name] for name in Row._fields}) for row in entry['rows']]
    return Measured(entry['started'], entry['machine'], rows)
