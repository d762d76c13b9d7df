"""A report as files: report.html, report.json and its sheets."""

import json
from pathlib import Path

from mmext.data_report.contents import contents
from mmext.data_report.page import page
from mmext.data_report.report import Report


def write_report(report: Report, folder: Path) -> Path:
    """Write all files of a report; those of an earlier one are replaced.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for sheet in report.sheets:
        (folder / f'{sheet.name}.jpg').write_bytes(sheet.jpeg)
    text = json.dumps(contents(report), indent=1, ensure_ascii=False)
    (folder / 'report.json').write_text(text, 'utf-8')
    path = folder / 'report.html'
    path.write_text(page(report), 'utf-8')
    return path
