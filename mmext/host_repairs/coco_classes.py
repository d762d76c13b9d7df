"""The host's COCO data set, replaced by ours, whose labels go by name.

Host: ``mmdet.CocoDataset``.
Fault: it numbers labels in the order of the annotation file, drops what it cannot read without a
word, and trains on nothing where the classes are others.
Repair: :class:`mmext.pipelines.coco_dataset.CocoDataset`, which reads the same files.
"""

from mmengine.config import Config

from mmext.configuration import walk
from mmext.host_repairs.naming import HostName, host_name

_HOSTS = {HostName(package, 'CocoDataset') for package in ('', 'mmdet')}


def use_own_coco_dataset(config: Config) -> None:
    """Replace it wherever the config has it, in place.

    Nothing is said: what a correct file holds is read the same, and what is not is said by the
    look at the data.
    """
    for _, part in walk(dict(config.items())):
        if host_name(part, config.get('default_scope')) in _HOSTS:
            part['type'] = 'mmext.CocoDataset'
