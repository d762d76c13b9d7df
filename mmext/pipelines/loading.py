"""Loading of photos, with errors that name the file."""

import os
from typing import Any

from mmcv.transforms import LoadImageFromFile

from mmext.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that says which file it cannot read.

    Args:
        As mmcv's. ``ignore_empty=True`` skips such images.

    Raises:
        FileNotFoundError: no such file.
        ValueError: empty, or not an image.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Adds ``img``, ``img_shape`` and ``ori_shape``."""
        path = results['img_path']
        try:
            return super().transform(results)
        except FileNotFoundError:
            raise FileNotFoundError(
                f'no image at {os.path.abspath(path)}: check data_root and data_prefix.img'
            ) from None
        except Exception as error:
            raise ValueError(f'{path}: cannot be read as an image ({error})') from error
