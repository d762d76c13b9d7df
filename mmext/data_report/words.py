"""Figures of a report as short texts, the same in the terminal and on the page."""

from collections.abc import Iterator

from mmext.data_report.report import PartReport
from mmext.data_report.statistics import ClassRow, Spread

CLASS_COLUMNS = (
    *('label', 'class', 'objects', 'share', 'images'),
    *('median px', 'small', 'medium', 'large', 'ignored'),
)


def facts(report: PartReport) -> Iterator[tuple[str, str]]:
    """Name and text of what is known of a data set beside its classes."""
    images, boxes = report.images, report.boxes
    if images.width_px and images.height_px and images.aspect:
        yield (
            'image size',
            f'width {_range(images.width_px)}, height {_range(images.height_px)} px, '
            f'aspect {_range(images.aspect)}; {images.num_sizes} different',
        )
    if images.objects:
        yield (
            'objects per image',
            f'{_range(images.objects)}, mean {images.mean_objects:.1f}; '
            f'{images.empty} images without an object that counts',
        )
    if boxes.size_px:
        yield 'size of boxes', f'{_range(boxes.size_px)} px (root of the area)'
        yield (
            'form of boxes',
            f'{len(boxes.tiny)} tiny (a side below 4 px), {len(boxes.thin)} thin (above 10:1), '
            f'{len(boxes.at_border)} touch the border, {len(boxes.outside)} reach out of it, '
            f'{len(boxes.repeated)} are there twice',
        )
    if report.photos:
        yield 'photos', ', '.join(f'{count} {state}' for state, count in report.photos.items())
    if report.maps is not None:
        total = max(1, report.maps.void + sum(report.maps.pixels.values()))
        yield (
            'panoptic PNGs',
            f'{report.maps.compared} compared with the JSON by pixel, '
            f'{len(report.maps.problems)} differ; {percent(report.maps.void / total)} void',
        )


def class_cells(label: int, row: ClassRow) -> list[str]:
    """The cells of a class, as :data:`CLASS_COLUMNS`."""
    sizes = [row.small, row.medium, row.large] if row.median_px is not None else ['', '', '']
    median = '' if row.median_px is None else f'{row.median_px:.0f}'
    kind = ' (stuff)' if row.kind == 'stuff' else ''
    cells = [label, f'{row.name}{kind}', row.objects, percent(row.share), row.images, median]
    return [str(cell) for cell in (*cells, *sizes, row.ignored)]


def percent(ratio: float) -> str:
    """As ``12.3 %``; what is not 0 does not look like it."""
    return f'{100 * ratio:.1f} %' if ratio >= 0.001 or not ratio else '<0.1 %'


def _range(values: Spread) -> str:
    low, median, high = (f'{value:.4g}' for value in (values.low, values.median, values.high))
    return low if low == high else f'{low} / {median} / {high}'
