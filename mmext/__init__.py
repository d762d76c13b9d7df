"""mmext: panoptic, video-panoptic, keypoint and face detectors, MLflow logging
and mixed precision for mmdetection.

    import mmext
    model = mmext.load('upsnet.pth')
    model('street.jpg').plot()

Importing this package is cheap (mmengine's config parser only; :func:`load` brings torch and mmdet)
and teaches that parser to inherit from our configs: ``_base_ = 'mmext::upsnet.py'``. Classes are
found through :mod:`mmext.registry` when a config names ``type='mmext.X'``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mmengine.config import Config
from mmengine.config import utils as _config_utils

from mmext.moved import accept_old_names
from mmext.shipped import shipped_folder

if TYPE_CHECKING:
    from mmext.inference.fast import fast
    from mmext.inference.model import Model, load
    from mmext.inference.result import Result

__version__ = '0.1.0'
__all__ = ['Model', 'Result', '__version__', 'fast', 'load']

# what is imported when it is asked for
_HOMES = {
    'load': 'mmext.inference.model',
    'fast': 'mmext.inference.fast',
    'Model': 'mmext.inference.model',
    'Result': 'mmext.inference.result',
}

# mmengine looks only at the packages in this table
_config_utils.MODULE2PACKAGE['mmext'] = 'mmext'

_host_cfg_path = Config._get_cfg_path


def _cfg_path(name: str, filename: str) -> tuple[str, str | None]:
    """The file that a config inherits from, and the scope of its types; see mmengine's.

    mmengine demands a folder in ``package::folder/file.py``, but our headline configs have none;
    and it finds the configs of an installed package only, not those of a checkout.
    """
    package, mark, inner = name.partition('::')
    if mark and package == 'mmext':
        return str(shipped_folder('configs') / inner), package
    return _host_cfg_path(name, filename)


Config._get_cfg_path = staticmethod(_cfg_path)

accept_old_names()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
