"""mmext: panoptic, video-panoptic, keypoint and face detectors, MLflow logging
and mixed precision for mmdetection.

Importing this package is cheap (mmengine's config parser only) and teaches that
parser to inherit from our configs: ``_base_ = 'mmext::upsnet.py'``. Classes are
found through :mod:`mmext.registry` when a config names ``type='mmext.X'``.
"""

from mmengine.config import config as _config
from mmengine.config import utils as _config_utils

from mmext.moved import accept_old_names

__version__ = '0.1.0'

# mmengine resolves `package::file.py` only for the packages in this table.
_config_utils.MODULE2PACKAGE['mmext'] = 'mmext'

_host_split = _config._get_package_and_cfg_path


def _split_config_name(name: str) -> tuple[str, str]:
    """Split ``'mmext::upsnet.py'`` into package and path.

    mmengine's own function demands a folder (``package::folder/file.py``), but
    our headline configs have none. Other packages' names are left to it.
    """
    if name.startswith('mmext::') and name.count('::') == 1:
        return 'mmext', name.removeprefix('mmext::')
    return _host_split(name)


_config._get_package_and_cfg_path = _split_config_name

accept_old_names()
