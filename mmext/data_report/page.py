"""A report as one HTML file that needs nothing else: tables, bars, embedded pictures."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from mmext.data_report import words
from mmext.data_report.problems import Weight
from mmext.data_report.report import PartReport, Report
from mmext.data_report.sheets import Sheet, legend

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1460px; margin: 2em auto;
  padding: 0 1.5em; overflow-wrap: anywhere; }
h1 { font-size: 1.5em; } h2 { margin-top: 2em; border-bottom: 1px solid #ccc; }
h3 { margin-bottom: .3em; } code, table.facts td { overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block;
  overflow: auto; overflow-wrap: normal; }
td, th { padding: .15em .7em; text-align: right; border-bottom: 1px solid #eee; }
td:nth-child(2), th:nth-child(2), table.facts td { text-align: left; }
table:not(.facts) td { white-space: nowrap; } tr.none { color: #999; }
img { max-width: 100%; border: 1px solid #ddd; }
.bar { display: inline-block; height: .7em; background: #5b8def; border-radius: 2px; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .4em;
  border-radius: 2px; border: 1px solid #0003; }
.legend span { white-space: nowrap; margin-right: 1em; }
.stops { border-left: 5px solid #c62828; } .left { border-left: 5px solid #f0a020; }
.look { border-left: 5px solid #1e88c0; }
ul.problems { list-style: none; padding: 0 0 0 .8em; overflow-wrap: anywhere; }
.charts { display: flex; flex-wrap: wrap; gap: 3em; }
"""
_MARKS = {Weight.STOPS: 'stops', Weight.LEFT_OUT: 'left', Weight.LOOK: 'look'}


def page(report: Report) -> str:
    """The text of report.html."""
    verdict = report.reason_to_stop
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>Data of {escape(report.config)}</title><style>{_STYLE}</style></head><body>',
        f'<h1>Data of <code>{escape(report.config)}</code></h1>',
        f'<p>{"Usable." if verdict is None else f"<b>Stops:</b> {escape(verdict)}"}</p>',
        *_problems(report),
        *(text for sheet in report.sheets for text in _picture(sheet)),
        *(text for part in report.parts for text in _part(part)),
        '</body></html>\n',
    ]
    return '\n'.join(parts)


def _problems(report: Report) -> Iterator[str]:
    for weight in Weight:
        found = [problem for problem in report.problems if problem.weight is weight]
        if found:
            yield f'<h3>{escape(weight)}</h3><ul class="problems {_MARKS[weight]}">'
            yield from (f'<li><b>{escape(p.where)}</b>: {escape(p.text)}</li>' for p in found)
            yield '</ul>'


def _picture(sheet: Sheet) -> Iterator[str]:
    data = base64.b64encode(sheet.jpeg).decode()
    yield f'<h2>{escape(sheet.title)}</h2>'
    yield f'<img alt="{escape(sheet.name)}" src="data:image/jpeg;base64,{data}">'


def _part(report: PartReport) -> Iterator[str]:
    yield f'<h2>{escape(report.part.name)}</h2><p>{escape(report.line)}</p>'
    yield '<table class="facts">'
    for name, text in words.facts(report):
        yield f'<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>'
    yield '</table><div class="charts">'
    yield from _chart('images by number of objects', report.images.histogram)
    yield from _chart('boxes by size, px', report.boxes.histogram)
    yield '</div>'
    yield from _classes(report)


def _chart(title: str, counts: Sequence[tuple[str, int]]) -> Iterator[str]:
    longest = max((count for _, count in counts), default=0)
    if not longest:
        return
    yield f'<div><h3>{escape(title)}</h3><table>'
    for name, count in counts:
        yield f'<tr><td>{escape(name)}</td><td>{_bar(count / longest)}{count}</td></tr>'
    yield '</table></div>'


def _classes(report: PartReport) -> Iterator[str]:
    colors: Mapping[str, str] = dict(legend(report.part.dataset.metainfo))
    largest = max((row.share for row in report.rows), default=0.0)
    yield '<h3>classes</h3><table><tr>'
    yield from (f'<th>{escape(column)}</th>' for column in words.CLASS_COLUMNS)
    yield '<th></th></tr>'
    for label, row in enumerate(report.rows):
        cells = [escape(cell) for cell in words.class_cells(label, row)]
        swatch = f'<i class="swatch" style="background:{colors.get(row.name, "#fff")}"></i>'
        cells[1] = f'{swatch}{cells[1]}'
        yield '<tr class="none">' if not row.objects else '<tr>'
        yield from (f'<td>{cell}</td>' for cell in cells)
        yield f'<td style="text-align:left">{_bar(row.share / largest if largest else 0)}</td></tr>'
    yield '</table>'


def _bar(ratio: float) -> str:
    return f'<i class="bar" style="width:{200 * ratio:.0f}px"></i> '
