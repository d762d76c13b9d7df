"""A report as plain data: what report.json holds, and what the terminal and the page are made of.

::

    {"config": ..., "stops": the reason or null,
     "problems": [{"weight", "where", "text"}],
     "data_sets": [{"name", "source", "line", "summary": {...}, "classes": [{...}],
                    "images": {...}, "boxes": {...}, "photos": {...}, "maps": {...} or null}]}
"""

from dataclasses import asdict
from typing import Any

from mmext.data_report.report import PartReport, Report

Json = dict[str, Any]
_LISTED = ('tiny', 'thin', 'at_border', 'outside', 'repeated')


def contents(report: Report) -> Json:
    """The report as plain data."""
    return {
        'config': report.config,
        'stops': report.reason_to_stop,
        'problems': [asdict(problem) for problem in report.problems],
        'data_sets': [_of_part(part) for part in report.parts],
    }


def _of_part(report: PartReport) -> Json:
    boxes = asdict(report.boxes)
    summary = asdict(report.part.summary)
    summary['left_out'] = list(summary['left_out'].values())
    return {
        'name': report.part.name,
        'source': report.part.summary.source,
        'line': report.line,
        'summary': summary,
        'classes': [asdict(row) for row in report.rows],
        'images': asdict(report.images),
        'boxes': {k: len(v) if k in _LISTED else v for k, v in boxes.items()},
        'photos': report.photos,
        'maps': _of_maps(report),
    }


def _of_maps(report: PartReport) -> Json | None:
    maps = report.maps
    if maps is None:
        return None
    total = max(1, maps.void + sum(maps.pixels.values()))
    shares = [maps.pixels.get(label, 0) / total for label in range(len(report.rows))]
    return {
        'compared': maps.compared,
        'void_share': maps.void / total,
        'pixel_share': {row.name: share for row, share in zip(report.rows, shares, strict=True)},
    }
