"""mmdet, imported quietly and repaired: it reports optional packages that nobody asked for."""

import contextlib
import io
import warnings

from mmext.errors import MissingPackageError
from mmext.host_repairs.late_packages import late_packages


def import_mmdet() -> None:
    """Import what mmdet registers, and mend what is broken in it.

    It takes seconds, so programs check their input first.

    Raises:
        MissingPackageError: mmcv has no compiled operators.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings('ignore', 'faster_coco_eval is not installed')
        try:
            with late_packages('mmdet'):
                from mmdet.utils import register_all_modules

                register_all_modules(init_default_scope=False)
        except ModuleNotFoundError as error:
            if error.name != 'mmcv._ext':
                raise
            raise MissingPackageError(
                'mmcv is installed without its compiled operators, as pip builds it by itself; '
                '`mmext setup` compiles it for this Python and torch in minutes'
            ) from error
    from mmext.host_repairs.faults import repair_host

    repair_host()
