"""The config files as texts: leaves are short deltas, and no passage stands in two files."""

from pathlib import Path

from mmengine.config import Config
from mmengine.hub import get_config

CONFIGS = Path(__file__).parents[2] / 'configs'
MAX_LEAF_LINES = 40
MAX_LONG_LEAVES = 4
MAX_SHARED_LINES = 12


def test_leaves_are_short() -> None:
    lengths = {
        path.relative_to(CONFIGS).as_posix(): len(path.read_text('utf-8').splitlines())
        for path in CONFIGS.rglob('*.py')
        if '_base_' not in path.parts
    }
    long = {name: length for name, length in lengths.items() if length > MAX_LEAF_LINES}
    assert len(long) <= MAX_LONG_LEAVES, long


def test_no_passage_stands_in_two_files() -> None:
    """A passage is a run of lines, blank ones left out, whatever their indentation."""
    length = MAX_SHARED_LINES + 1
    first_place: dict[tuple[str, ...], str] = {}
    repeated = []
    for path in sorted(CONFIGS.rglob('*.py')):
        name = path.relative_to(CONFIGS).as_posix()
        numbered = enumerate(path.read_text('utf-8').splitlines(), 1)
        lines = [(number, line.strip()) for number, line in numbered if line.strip()]
        for start in range(len(lines) - length + 1):
            passage = tuple(line for _, line in lines[start : start + length])
            place = f'{name}:{lines[start][0]}'
            first = first_place.setdefault(passage, place)
            if first.partition(':')[0] != name:
                repeated.append(f'{place} is {first}')
    assert not repeated


def test_panoptic_fpn_is_that_of_mmdet() -> None:
    """Our base restates the model, which the host has only together with its data."""
    ours = Config.fromfile(CONFIGS / '_base_/models/panoptic-fpn_r50.py').model
    theirs = get_config('mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py').model
    # where each part was read is marked by mmengine
    assert {key: part for key, part in ours.items() if key != '_scope_'} == {
        key: part for key, part in theirs.items() if key != '_scope_'
    }
