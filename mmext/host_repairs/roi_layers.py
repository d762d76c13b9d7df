"""RoI layers that ask for torchvision's operation (CrowdDet's)."""

import importlib.util

from mmengine.config import Config

from mmext.configuration import walk
from mmext.errors import InputError

_OPTION = 'use_torchvision'


def check_roi_layers(config: Config) -> None:
    """Refuse ``use_torchvision=True`` where torchvision is not installed.

    Raises:
        InputError: with the options that take mmcv's own operation.
    """
    if importlib.util.find_spec('torchvision') is not None:
        return
    model = config.get('model') or {}
    places = [path for path, part in walk(model, 'model') if part.get(_OPTION)]
    if places:
        options = ' '.join(f'{place}.{_OPTION}=False' for place in places)
        raise InputError(
            f'{places[0]}.{_OPTION}=True needs torchvision, which does not belong to this stack; '
            f"mmcv's own operation computes the same: --cfg-options {options}"
        )
