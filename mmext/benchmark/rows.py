"""A speed claim: ours against a reference, measured in the same process.

Every file in ``tools/benchmarks`` has ``run(quick)`` that returns such rows; it may print more.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One comparison.

    Attributes:
        what: what was done, with its size.
        against: what the reference is.
        ours: our figure.
        reference: the reference's, in the same unit.
        unit: 'ms', 'MiB', '%', …
        aim: the ratio that was set as a goal before; None where none was.
        more_is_better: as for AP or images a second; the figures are costs otherwise.
    """

    what: str
    against: str
    ours: float
    reference: float
    unit: str
    aim: float | None = None
    more_is_better: bool = False

    @property
    def ratio(self) -> float:
        """How many times better ours is.

        >>> Row('sort', 'list.sort', ours=2.0, reference=6.0, unit='ms').ratio
        3.0
        """
        if self.more_is_better:
            return self.ours / self.reference
        return self.reference / self.ours

    @property
    def verdict(self) -> str:
        """'met' or 'missed'; '' without an aim."""
        if self.aim is None:
            return ''
        return 'met' if self.ratio >= self.aim else 'missed'


HEAD = ('what', 'against', 'ours', 'reference', 'ratio', 'aim', '')


def table(rows: Sequence[Row], with_aims: bool = True) -> str:
    """The rows as a Markdown table, with or without the columns of the aim."""
    columns = len(HEAD) if with_aims else HEAD.index('aim')
    lines = [HEAD, *map(_cells, rows)]
    shown = ['| ' + ' | '.join(cells[:columns]) + ' |' for cells in lines]
    return '\n'.join([shown[0].replace('|  |', '| |'), '|---' * columns + '|', *shown[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    aim = '' if row.aim is None else f'{_figure(row.aim)}x'
    ours, reference = (f'{_figure(value)} {row.unit}' for value in (row.ours, row.reference))
    ratio = f'{_figure(row.ratio)}x'
    return row.what, row.against, ours, reference, ratio, aim, row.verdict


def _figure(value: float) -> str:
    """Three digits that count, and all before the point."""
    if abs(value) < 0.995:
        return f'{value:.3g}'
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f'{value:.{digits}f}'
