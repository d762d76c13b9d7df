"""mmcv's synchronized BatchNorm (``MMSyncBN``) in a run of one process.

Host: ``mmcv.ops.SyncBatchNorm``, in mmdet's strong_baselines and simple_copy_paste.
Fault: its constructor asks for the process group of a launcher, and it has no CPU kernel, so a
group of one process would not do.
Repair: ``BN``. Over one process both compute the same, and parameters and buffers have the same
names: a checkpoint of either loads into the other. torch's ``SyncBN`` works without a launcher
and is left alone.
"""

from mmengine.config import Config

from mmext.configuration import walk
from mmext.host_repairs.naming import HostName, host_name

_PACKAGES = ('', 'mmcv', 'mmdet', 'mmengine')
_SYNCHRONIZED = {
    *(HostName(package, 'MMSyncBN') for package in _PACKAGES),
    HostName('mmcv', 'SyncBatchNorm'),
}
_OF_GROUPS = ('group', 'stats_mode')  # arguments that plain BatchNorm does not have


def use_plain_batch_norm(config: Config) -> str | None:
    """Replace it in the model, in place; the line to say, or None if there is none."""
    places = []
    for path, part in walk(config.get('model') or {}, 'model'):
        if host_name(part, config.get('default_scope')) in _SYNCHRONIZED:
            part['type'] = 'BN'
            for name in _OF_GROUPS:
                part.pop(name, None)
            places.append(path)
    if not places:
        return None
    return (
        f'BN in the place of MMSyncBN ({", ".join(places)}): that needs the process group of a '
        'launcher, and in one process both compute the same'
    )
