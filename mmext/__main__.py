"""Run a tool with mmext's configs within reach: ``mmext TOOL [ARGS]``, ``python -m mmext TOOL``.

``TOOL`` is the name of one of mmext's tools (``mmext train cfg.py``) or the path
of any script. The second form is for mmdetection's own tools: a config with
``_base_ = 'mmext::upsnet.py'`` can be read only after ``import mmext``, which
they do not do by themselves. Under torchrun: ``torchrun --nproc-per-node 2 -m
mmext train cfg.py --launcher pytorch``.
"""

import ast
import difflib
import runpy
import sys
from pathlib import Path
from types import ModuleType

from mmext.shipped import shipped_folder

TOOLS = shipped_folder('tools')
SHORT_NAMES = {
    'check': 'check_data',
    'convert': 'convert_checkpoint',
    'export': 'export_onnx',
    'import': 'import_labels',
    'new': 'new_config',
    'prepare': 'prepare_data',
    'setup': 'setup_mmcv',
}
_OF_THE_CHECKOUT = ('setup_env',)
_GROUPS = {  # of the help
    'your own data': ('import', 'new', 'check', 'train', 'sweep', 'test', 'infer', 'serve'),
    'look inside, compare': (
        'explain', 'find', 'translate', 'benchmark', 'evaluate_panoptic', 'evaluate_video_panoptic',
        'evaluate_key_frames',
    ),
    'weights, data sets, other programs': (
        'convert', 'export', 'prepare', 'words', 'crops', 'mlflow_model', 'mlflow_replay',
    ),
    'this installation': ('info', 'setup', 'completion', 'demo', 'soak'),
}  # fmt: skip
_HEAD = """usage: mmext TOOL ...        mmext TOOL --help says more, mmext --version the version
       mmext SCRIPT.py ...   any program, as mmdetection's own, with mmext's configs within reach

first steps, from an export of a labeling tool to a page of your own model:
  mmext import yolo export/ --out data/all.json --val-share 0.2
  mmext new centernet_small --train data/all_train.json --val data/all_val.json \\
      --photos export/images --out mine.py
  mmext train mine.py --work-dir work
  mmext serve work"""


def find_tool(name: str) -> Path:
    """Return the script that ``name`` stands for.

    Args:
        name: name of a tool of ours without ``.py``, its short name, or a path to a script.

    Raises:
        SystemExit: there is neither; the message lists the tools.
    """
    for path in (TOOLS / f'{SHORT_NAMES.get(name, name)}.py', Path(name)):
        if path.is_file():
            return path
    tools = purposes()
    known = ', '.join(tools) or 'none installed'
    close = difflib.get_close_matches(name, tools, n=1)
    meant = f'did you mean {close[0]}? ' if close else ''
    raise SystemExit(f'mmext: no tool and no script named {name!r}; {meant}(tools: {known})')


def purposes() -> dict[str, str]:
    """The first line of each tool's description, by the tool's short name."""
    short = {long: name for name, long in SHORT_NAMES.items()}
    return {
        short.get(path.stem, path.stem): (
            ast.get_docstring(ast.parse(path.read_text('utf-8'))) or ''
        ).partition('\n')[0]
        for path in sorted(TOOLS.glob('*.py'))
        if path.stem not in _OF_THE_CHECKOUT
    }


def help_text() -> str:
    """What ``mmext --help`` says."""
    tools = purposes()
    width = max(map(len, tools), default=0)
    grouped = {name for names in _GROUPS.values() for name in names}
    rest = tuple(name for name in tools if name not in grouped)
    lines = [_HEAD]
    for title, names in {**_GROUPS, 'more': rest}.items():
        there = [name for name in names if name in tools]
        lines += [f'\n{title}:'] if there else []
        lines += [f'  {name:{width}}  {tools[name]}' for name in there]
    return '\n'.join(lines)


def main() -> None:
    """Hand the command line over to the tool."""
    if len(sys.argv) < 2 or sys.argv[1] in ('-h', '--help', 'help'):
        print(help_text())
        raise SystemExit(0 if len(sys.argv) > 1 else 2)
    if sys.argv[1] in ('-V', '--version'):
        import mmext

        print(f'mmext {mmext.__version__}')
        return
    name, *arguments = sys.argv[1:]
    script = find_tool(name)
    sys.path[0] = str(script.resolve().parent)  # as `python script.py` would have it
    if script.parent != TOOLS:
        sys.argv = [str(script), *arguments]
        runpy.run_path(str(script), run_name='__main__')
        return
    # runpy would name the program after the file: `usage: new_config.py` for `mmext new`
    sys.argv = [f'mmext {name}', *arguments]
    program = ModuleType('__main__')
    program.__file__ = str(script)  # where workers that are spawned look
    sys.modules['__main__'] = program
    exec(compile(script.read_bytes(), script, 'exec'), program.__dict__)


if __name__ == '__main__':
    main()
