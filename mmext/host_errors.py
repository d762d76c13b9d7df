"""What stops inside the host because something is not installed, as one line.

The host says it in many forms: ImportError, RuntimeError, NotImplementedError, with advice to
install from git, over several lines. What it means is always: a package is missing, or mmcv has
no kernel of an operation for the device.
"""

import importlib.util
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from mmext.failed_statements import words_of

_HOST = re.compile(r'(^|/)(mmdet|mmcv|mmengine|mmext)/')
_KERNEL = re.compile(r'(\w+?)(?:_impl)?: implementation for device (\w+)\S* not found')
# first the command, then the sentence: the sentence has spelling mistakes, the command has none
_PACKAGE = (
    re.compile(r'\bmim install ["\']?(?:-U )?([A-Za-z][\w.\-]*\w)'),
    re.compile(r'\bpip install ["\'`]?(?:-U )?(?!git\+|openmim)([A-Za-z][\w.\-]*\w)'),
    re.compile(r'([A-Za-z][\w.\-]*)[`\'"]? is not installed'),
    re.compile(r'[Pp]lease install ([A-Za-z][\w\-]*)'),
)
_SCOPE = re.compile(r'^([A-Za-z]\w*)\.\w+ is not in the \S+ registry')
_IMPORT = re.compile(r"^No module named '([\w.]+)'")

# where the name to install is not the name to import, lower case
_PIP = {
    'cv2': 'opencv-python-headless',
    'detectron2': 'git+https://github.com/facebookresearch/detectron2',
    'mmpretrain': 'onedl-mmpretrain',
    'mmpretrain.models': 'onedl-mmpretrain',
    'panopticapi': 'git+https://github.com/cocodataset/panopticapi',
    'skimage': 'scikit-image',
    'sklearn': 'scikit-learn',
}
_OPTIONAL = {  # imported here and there by the host's zoo and sure to be packages
    *('albumentations', 'cityscapesscripts', 'clip', 'detectron2', 'dsdl', 'fairscale'),
    *('instaboostfast', 'jsonlines', 'lap', 'lvis', 'mmpretrain', 'nltk', 'open_clip'),
    *('panopticapi', 'skimage', 'sklearn', 'timm', 'transformers', 'wandb'),
}


def missing_part(error: BaseException, text: str, file: str) -> str | None:
    """One line for an error that says that something is not installed, None for any other.

    Args:
        error: what was raised.
        text: its message.
        file: where.
    """
    if kernel := _KERNEL.search(text):
        return _missing_kernel(error, *kernel.groups())
    if not _HOST.search(Path(file).as_posix()):
        return None
    if scope := _SCOPE.match(text):
        package = scope[1]
    elif isinstance(error, ImportError) and (module := _IMPORT.match(text)):
        package = module[1].partition('.')[0]
    else:
        package = next((found[1] for form in _PACKAGE if (found := form.search(text))), '')
    if not package or _is_installed(package):
        return None
    return f'the package {package} is not installed{_user(error)}: {install_command(package)}'


def missing_import(error: ImportError, imports: Any) -> str:
    """One line for ``custom_imports`` of a config that failed.

    Args:
        error: as mmengine raises it; what it was raised for is behind it.
        imports: the modules that were to be imported.
    """
    reason: BaseException = error
    while (behind := reason.__cause__ or reason.__context__) is not None:
        reason = behind
    modules = [imports] if isinstance(imports, str) else list(imports or [])
    wanted = f'custom_imports of the config ({", ".join(map(str, modules))})'
    missing = str(getattr(reason, 'name', None) or '').partition('.')[0]
    if not isinstance(reason, ModuleNotFoundError) or _is_installed(missing):
        return f'{wanted} failed: {words_of(reason)}'
    if missing in _OPTIONAL:
        return (
            f'the package {missing} is not installed; {wanted} need it: {install_command(missing)}'
        )
    return (
        f'there is no module {missing!r}; {wanted} need it: install the package that has it, or '
        'for code of your own put its folder into PYTHONPATH'
    )


def install_command(package: str) -> str:
    """How to get a package.

    >>> install_command('sklearn')
    'pip install scikit-learn'
    """
    if package == 'torchvision':
        return (
            'this stack has none, because it would replace torch; change the key of the config '
            'that asks for it'
        )
    return f'pip install {_PIP.get(package.lower(), package)}'


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package.replace('-', '_').partition('.')[0]) is not None
    except ValueError:  # a module without a spec, put there by hand
        return True


def _missing_kernel(error: BaseException, operation: str, device: str) -> str:
    module = next((_module_name(frame) for frame in _frames(error) if _module_name(frame)), None)
    user = f' ({module} of the model needs it)' if module else ''
    if device == 'cpu':
        return f"mmcv's operation {operation} has no CPU version{user}: it runs on a GPU only"
    return (
        f"mmcv's operation {operation} was built without a version for {device}{user}: build "
        'mmcv on a machine with that device'
    )


def _user(error: BaseException) -> str:
    """The part of the config that was being built, or the module that was running."""
    for frame in _frames(error):
        if frame.f_code.co_name == 'build_from_cfg' and isinstance(frame.f_locals.get('cfg'), dict):
            kind = frame.f_locals['cfg'].get('type')
            return f'; type={getattr(kind, "__name__", kind)!r} of the config needs it'
        if name := _module_name(frame):
            return f'; {name} of the model needs it'
    return ''


def _module_name(frame: FrameType) -> str | None:
    """The class of the module whose ``forward`` a frame is."""
    module = frame.f_locals.get('self')
    is_module = hasattr(module, 'state_dict') and hasattr(module, 'forward')
    return type(module).__name__ if is_module and frame.f_code.co_name == 'forward' else None


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of a traceback, the place of the error first."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        yield frame
