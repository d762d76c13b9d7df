"""mmext: panoptic, video-panoptic, keypoint and face detectors, MLflow logging
and mixed precision for mmdetection.

Importing this package is cheap (mmengine's config parser only) and teaches that
parser to inherit from our configs: ``_base_ = 'mmext::upsnet.py'``. Classes are
found through :mod:`mmext.registry` when a config names ``type='mmext.X'``.
"""

from mmengine.config import Config
from mmengine.config import utils as _config_utils

from mmext.moved import accept_old_names
from mmext.shipped import shipped_folder

__version__ = '0.1.0'

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
