"""Predictions of SSD.

Host: ``mmdet.models.SSDHead``.
Fault: it has no ``loss_cls`` (its loss is written out in ``loss_by_feat_single``), but prediction,
which it inherits from ``BaseDenseHead``, reads ``loss_cls.custom_cls_channels`` since mmdet 3.3.0:
"'SSDHead' object has no attribute 'loss_cls'" at the first validation. Seen up to 3.5.1.
Repair: a head that has no ``loss_cls`` when it is built gets None, which has no custom channels.
"""

import functools
from typing import Any

from mmdet.models import SSDHead


def repair() -> None:
    """Mend it, in every head that turns out to be broken."""
    build = SSDHead.__init__

    @functools.wraps(build)
    def build_with_loss(head: SSDHead, *args: Any, **kwargs: Any) -> None:
        build(head, *args, **kwargs)
        # on the instance: on the class it would hide the module that a subclass sets
        if not hasattr(head, 'loss_cls'):
            head.loss_cls = None

    SSDHead.__init__ = build_with_loss
