"""mmdet, imported quietly and repaired: it reports optional packages that nobody asked for."""

import contextlib
import io
import warnings


def import_mmdet() -> None:
    """Import what mmdet registers, and mend what is broken in it.

    It takes seconds, so programs check their input first.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings('ignore', 'faster_coco_eval is not installed')
        from mmdet.utils import register_all_modules

        register_all_modules(init_default_scope=False)
    from mmext.host_repairs.faults import repair_host

    repair_host()
