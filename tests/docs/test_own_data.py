"""The pages on one's own data: their commands are run, or read by the programs that they name.

``mmext import``, ``new`` and ``check`` run on a tiny export; what comes out of them is trained on
in the tests of those tools. Of the other commands the arguments are parsed.
"""

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

import mmext.__main__ as program
from mmext.demo.video import write_video_dataset
from mmext.errors import run_tool

DOCS = Path(__file__).parents[2] / 'docs/own_data'
PAGES = sorted(path for path in DOCS.glob('*.md') if path.name != 'README.md')
RUN = ('import', 'new', 'check')
SIDE = 96


def tool(name: str) -> ModuleType:
    """The program behind ``mmext NAME``, as a module."""
    path = program.find_tool(name)
    spec = importlib.util.spec_from_file_location(f'documented_{path.stem}', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path, language: str) -> Iterator[str]:
    yield from re.findall(rf'```{language}\n(.*?)```', page.read_text('utf-8'), re.DOTALL)


def photos(folder: Path, names: str = 'abcdef') -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name in names:
        pixels = rng.integers(0, 90, (SIDE, SIDE, 3), np.uint8)
        pixels[20:60, 20:60] = 240
        Image.fromarray(pixels).save(folder / f'{name}.png')
    return list(names)


def labelme(folder: Path, shapes: list[dict[str, Any]]) -> None:
    for name in photos(folder):
        data = dict(imagePath=f'{name}.png', shapes=shapes)
        (folder / f'{name}.json').write_text(json.dumps(data))


def boxes() -> None:
    for name in photos(Path('export/images')):
        Path('export/labels').mkdir(exist_ok=True)
        Path(f'export/labels/{name}.txt').write_text('0 0.2 0.2 0.6 0.2 0.6 0.6 0.2 0.6\n')
    Path('export/data.yaml').write_text('train: images\nnames: [box]\n')


def skeletons() -> None:
    names = photos(Path('export/images'))
    points = ''.join(
        f'<points label="{label}" points="{x},30"/>'
        for label, x in (('nose', 40), ('left_eye', 25), ('right_eye', 55))
    )
    images = ''.join(
        f'<image name="{name}.png"><skeleton label="cat" group_id="1">{points}</skeleton>'
        '<box label="cat" xtl="20" ytl="20" xbr="60" ybr="60" group_id="1"/></image>'
        for name in names
    )
    Path('export/annotations.xml').write_text(f'<annotations>{images}</annotations>')


def areas() -> None:
    corners = dict(
        car=[[20, 20], [60, 20], [60, 60], [20, 60]],
        sky=[[0, 0], [96, 0], [96, 40], [0, 40]],
        road=[[0, 40], [96, 40], [96, 96], [0, 96]],
    )
    labelme(Path('export'), [dict(label=key, points=value) for key, value in corners.items()])


def faces() -> None:
    landmarks = dict(
        left_eye=[30, 30], right_eye=[50, 30], nose=[40, 40], left_mouth=[32, 50],
        right_mouth=[48, 50],
    )  # fmt: skip
    shapes = [dict(label='face', shape_type='rectangle', points=[[20, 20], [60, 60]], group_id=1)]
    for key, place in landmarks.items():
        shapes.append(dict(label=key, shape_type='point', points=[place], group_id=1))
    labelme(Path('export'), shapes)


def videos() -> None:
    write_video_dataset('data/mine', num_train=2, num_val=1, image_size=(96, 64))


EXPORTS = dict(
    boxes_and_masks=boxes, key_points=skeletons, panoptic_images=areas, faces=faces,
    panoptic_videos=videos,
)  # fmt: skip


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    EXPORTS[page.stem]()
    for number, text in enumerate(blocks(page, 'python')):
        Path('mine.py' if not number else f'mine_{number}.py').write_text(text)
    for block in blocks(page, 'bash'):
        for line in block.splitlines():
            word, *rest = shlex.split(line, comments=True)
            if word != 'mmext':
                assert line.startswith('python -m mmext.demo ')
                continue
            name, arguments = rest[0], rest[1:]
            module = tool(name)
            if name in RUN:
                assert run_tool(module.main, arguments) == 0, capsys.readouterr().err
            else:
                module.build_parser().parse_args(arguments)
    assert Path('report/report.html').is_file()
    Config.fromfile('mine.py')


def test_every_page_is_listed_and_every_link_leads_somewhere() -> None:
    index = (DOCS / 'README.md').read_text('utf-8')
    assert {page.stem for page in PAGES} == EXPORTS.keys()
    for page in [*PAGES, DOCS / 'README.md']:
        assert page.name in index or page.name == 'README.md'
        for target in re.findall(r'\]\(([^)#]+)\)', page.read_text('utf-8')):
            assert '://' in target or (page.parent / target).exists(), (page.name, target)
