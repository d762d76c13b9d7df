"""What was found, kind by kind, as the table that a soak ends with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FAULTS = ('lost', 'duplicated', 'wrong', 'hung', 'traceback')


@dataclass
class Finding:
    """What is wrong after one trial.

    Attributes:
        faults: fault -> what exactly, one text for each; see :data:`FAULTS`.
    """

    faults: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in FAULTS})

    def add(self, faults: Mapping[str, Sequence[str]]) -> None:
        """Add what was found."""
        for name, texts in faults.items():
            self.faults[name] += texts

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.faults.values())

    def lines(self) -> list[str]:
        """The faults, at most three of a kind."""
        return [
            f'{name}: {text}' + (f' ({len(texts)} in all)' if number == 2 < len(texts) - 1 else '')
            for name, texts in self.faults.items()
            for number, text in enumerate(texts[:3])
        ]


class Account:
    """Counts trials and faults by kind of trial."""

    def __init__(self) -> None:
        self._rows: dict[str, Counter[str]] = {}

    def add(self, kind: str, finding: Finding) -> None:
        """Count a trial."""
        row = self._rows.setdefault(kind, Counter())
        row['trials'] += 1
        row.update({name: len(texts) for name, texts in finding.faults.items()})

    @property
    def num_faults(self) -> int:
        """All faults so far."""
        return sum(row[name] for row in self._rows.values() for name in FAULTS)

    def table(self) -> str:
        """One line for each kind of trial and one for all."""
        total = sum(self._rows.values(), Counter())
        columns = ('trials', *FAULTS)
        width = max((len(kind) for kind in self._rows), default=3) + 2
        lines = [' ' * width + ''.join(f'{name:>12}' for name in columns)]
        for kind, row in [*sorted(self._rows.items()), ('all', total)]:
            lines.append(f'{kind:{width}}' + ''.join(f'{row[name]:>12}' for name in columns))
        return '\n'.join(lines)
