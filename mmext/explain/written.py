"""Explained pictures as files: maps, overlays, a sheet, a line for each map, a report.

Shape legend: K maps, ``h x w`` picture.
"""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmext import __version__
from mmext.drawing.colors import Picture
from mmext.explain.attribution import Attribution
from mmext.explain.methods import METHODS
from mmext.explain.page import Section, page
from mmext.explain.scene import Scene
from mmext.explain.sheets import detection_sheet, jpeg, overlay
from mmext.formats.file_names import short_name

_MOST_FACTS = 6
_WIDEST_PX = 1100  # of a picture in the report
COLUMNS = ('image', 'number', 'class', 'score', 'left', 'top', 'right', 'bottom', 'method',
           'target', 'layer', 'origin', 'seconds', 'note')  # fmt: skip


class ResultFolder:
    """A folder that explained pictures are written to, one after the other.

    Args:
        folder: is made.
        checkpoint: the weights, for the maps' records.
        seed: likewise.
        scale: of the sheets, see :func:`.sheets.detection_sheet`.
    """

    def __init__(self, folder: Path, checkpoint: Path | None, seed: int, scale: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.seed, self.scale = folder, seed, scale
        self._digest = '' if checkpoint is None else sha256_of(checkpoint)
        self._sections: list[Section] = []
        self._lines: list[list[str]] = []
        self._names: set[str] = set()

    def add(self, scene: Scene, rows: Sequence[Sequence[Attribution]]) -> Picture:
        """Write the files of one picture.

        Args:
            scene: of the picture.
            rows: for each detection its maps.

        Returns:
            The sheet, RGB ``[H, W, 3]``.
        """
        name = self._name(Path(scene.prepared.name).stem or 'picture')
        maps = [attribution for row in rows for attribution in row]
        self._write_maps(name, maps)
        for number, row in enumerate(rows):
            for attribution in row:
                file = self.folder / f'{name}_{number}_{attribution.method}.jpg'
                file.write_bytes(jpeg(overlay(scene, attribution)))
                self._lines.append(_line(name, number, attribution))
        sheet = detection_sheet(scene, rows, self.scale)
        (self.folder / f'{name}_sheet.jpg').write_bytes(jpeg(sheet))
        self._sections.append(_section(name, sheet, rows))
        return sheet

    def nothing(self, name: str, reason: str) -> None:
        """Note a picture without anything to explain."""
        self._sections.append(Section(name, notes=[reason]))

    def close(self, title: str) -> Path:
        """Write ``summary.csv`` and ``report.html``; returns the report."""
        with (self.folder / 'summary.csv').open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(self._lines)
        methods = dict.fromkeys(line[COLUMNS.index('method')] for line in self._lines)
        report = self.folder / 'report.html'
        report.write_text(page(title, [*self._sections, _legend(list(methods))]), 'utf-8')
        return report

    def _name(self, stem: str) -> str:
        name, number = short_name(stem, '_999_rise-features.jpg').removesuffix(
            '_999_rise-features.jpg'
        ), 1  # fmt: skip
        while name in self._names:
            number += 1
            name = f'{stem}_{number}'
        self._names.add(name)
        return name

    def _write_maps(self, name: str, maps: Sequence[Attribution]) -> None:
        relevance = np.stack([a.relevance for a in maps])
        # the maps of gradients are smaller than float16 can say: each has its own unit
        units = np.abs(relevance).max((1, 2)).astype(np.float32)
        units[units == 0] = 1
        records: dict[str, Any] = dict(
            relevance=(relevance / units[:, None, None]).astype(np.float16),
            unit=units,
            boxes=np.array([a.detection.box_xyxy for a in maps], np.float32),
            labels=np.array([a.detection.label for a in maps], np.int64),
            scores=np.array([a.detection.score for a in maps], np.float32),
            missed=np.array([a.detection.missed for a in maps]),
            method=np.array([a.method for a in maps]),
            target=np.array([a.target for a in maps]),
            layer=np.array([a.layer for a in maps]),
            seed=self.seed,
            version=__version__,
            checkpoint_sha256=self._digest,
        )
        np.savez_compressed(self.folder / f'{name}.npz', **records)


def _section(name: str, sheet: Picture, rows: Sequence[Sequence[Attribution]]) -> Section:
    section = Section(name, pictures=[(jpeg(sheet, _WIDEST_PX), '')])
    section.columns = ('object', 'score', 'origin', 'methods')
    for row in rows:
        detection = row[0].detection
        made = '; '.join(f'{a.method}{_facts(a)}' for a in row)
        object_name = detection.name + (' (not detected)' if detection.missed else '')
        section.rows.append(
            (object_name, f'{detection.score:.3f}', detection.origin.describe(), made)
        )
        section.notes += [f'{detection.name}: {a.note}' for a in row if a.note]
    return section


def _facts(attribution: Attribution) -> str:
    said = [f'{name} {value:.2g}' for name, value in list(attribution.facts.items())[:_MOST_FACTS]]
    if attribution.levels and len(attribution.levels) > 1:
        said.append('levels ' + ' '.join(f'{share:.0%}' for share in attribution.levels))
    return f' ({", ".join(said)})' if said else ''


def _legend(methods: Sequence[str]) -> Section:
    legend = Section(
        'How to read it',
        texts=[
            'Bright: speaks for the detection. The scale begins at 0, not at the lowest value. '
            'Each map is divided by its own highest value unless it says otherwise: two maps of '
            'equal brightness may be of very different scores.'
        ],
        columns=('method', 'which question it answers', 'distrust'),
    )
    for name in methods:
        method = METHODS[name]
        legend.rows.append((name, method.answers, method.distrust))
    return legend


def _line(name: str, number: int, a: Attribution) -> list[str]:
    d = a.detection
    return [
        name, str(number), d.name, f'{d.score:.6f}', *(f'{edge:.2f}' for edge in d.box_xyxy),
        a.method, a.target, a.layer, d.origin.describe(), f'{a.seconds:.3f}', a.note,
    ]  # fmt: skip


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
