"""A config of the host, made to run on the stack that is here.

Every program that builds a model or a runner from a config calls :func:`adapt_config` first.
"""

from mmengine.config import Config

from mmext.host_repairs.absent_hooks import leave_out_absent_hooks
from mmext.host_repairs.batch_norm import use_plain_batch_norm
from mmext.host_repairs.coco_classes import use_own_coco_dataset
from mmext.host_repairs.panoptic_classes import use_own_panoptic_classes
from mmext.host_repairs.roi_layers import check_roi_layers


def adapt_config(config: Config, single_process: bool) -> list[str]:
    """Replace, in place, what cannot run here by what gives the same results.

    Args:
        config: the whole config, with all options applied.
        single_process: no launcher has started this process.

    Returns:
        One line for each kind of replacement: what, by what, and why. None if nothing was.

    Raises:
        InputError: the config needs what is not here and has no equal.
    """
    check_roi_layers(config)
    use_own_coco_dataset(config)
    leave_out_absent_hooks(config)
    said = [use_own_panoptic_classes(config)]
    if single_process:
        said.append(use_plain_batch_norm(config))
    return [line for line in said if line is not None]
