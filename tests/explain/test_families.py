"""A few of the sweep over families, which is long as a whole; FAMILIES.md has the table of all."""

import re
from pathlib import Path

from sweep_families import FAMILIES, OURS, Line, counts, lines, markdown

QUICK = {
    'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py': ('odam, anchored', 'rise, anchored'),
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py': ('odam, anchored', 'rise, anchored'),
    'mmext::centernet_pose_demo.py': ('odam, anchored', 'rise, anchored'),
    'mmext::yolact_edge_demo.py': ('odam, anchored', 'rise, anchored'),
    'mmext::landmarks/faces_regression_demo.py': ('saliency, keypoint:0:x', 'rise, keypoint:0:x'),
}
ROOM = Path(__file__).parents[2] / 'mmext/explain'


def test_a_few_families() -> None:
    found = list(lines(list(QUICK)))
    assert {line.name: (line.gradient, line.masks) for line in found} == QUICK
    assert [line.reason for line in found] == [''] * len(QUICK)
    assert counts(found) == '5 by both, 5 by one at least, of 5'


def test_what_fails_is_a_line_of_its_own() -> None:
    (line,) = lines(['mmdet::fcos/nothing.py'])
    assert line.gradient == line.masks == ''
    assert 'nothing.py' in line.reason
    assert markdown([line]).splitlines()[-1].startswith('| fcos/nothing | no | no |')


def test_the_table_has_every_family() -> None:
    rows = re.findall(r'^\| ([^ |]+) \|', (ROOM / 'FAMILIES.md').read_text('utf-8'), re.MULTILINE)
    names = [Line(name).cells[0] for name in (*OURS, *(f'mmdet::{f}.py' for f in FAMILIES))]
    assert rows[2:] == names
