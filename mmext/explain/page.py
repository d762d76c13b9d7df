"""A report as one HTML file that needs no network and no script."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1300px; margin: 2em auto;
  padding: 0 1.5em; overflow-wrap: anywhere; }
h1 { font-size: 1.5em; } h2 { margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6em 0;
  display: block; overflow: auto; overflow-wrap: normal; }
td, th { padding: .15em .7em; text-align: left; border-bottom: 1px solid #eee;
  vertical-align: top; }
img { max-width: 100%; } .note { border-left: 5px solid #f0a020; padding-left: .8em; }
tr.control td { color: #777; font-style: italic; }
"""


@dataclass
class Section:
    """A part of a report.

    Attributes:
        title: of it.
        texts: paragraphs.
        notes: paragraphs that must not be overlooked.
        pictures: JPEG files with a caption each.
        columns: of a table.
        rows: of the table.
        controls: rows that are printed as controls, by number.
        drawing: SVG.
    """

    title: str
    texts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pictures: list[tuple[bytes, str]] = field(default_factory=list)
    columns: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    controls: frozenset[int] = frozenset()
    drawing: str = ''


def page(title: str, sections: Iterable[Section]) -> str:
    """The text of the file."""
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{escape(title)}</title><style>{_STYLE}</style></head><body>',
        f'<h1>{escape(title)}</h1>',
    ]
    for section in sections:
        parts += _section(section)
    return '\n'.join([*parts, '</body></html>\n'])


def _section(section: Section) -> Iterator[str]:
    yield f'<h2>{escape(section.title)}</h2>'
    yield from (f'<p>{escape(text)}</p>' for text in section.texts)
    yield from (f'<p class="note">{escape(text)}</p>' for text in section.notes)
    for jpeg, caption in section.pictures:
        data = base64.b64encode(jpeg).decode()
        yield f'<p><img alt="{escape(caption)}" src="data:image/jpeg;base64,{data}"></p>'
        yield f'<p>{escape(caption)}</p>' if caption else ''
    yield section.drawing
    if section.columns:
        yield '<table><tr>' + ''.join(f'<th>{escape(c)}</th>' for c in section.columns) + '</tr>'
        for number, row in enumerate(section.rows):
            mark = ' class="control"' if number in section.controls else ''
            yield f'<tr{mark}>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>'
        yield '</table>'
