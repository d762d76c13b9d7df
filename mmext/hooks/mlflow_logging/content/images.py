"""Pictures that MLflow shows along a step slider.

MLflow's ``log_image`` gives every file a random name, so that sending twice would
show it twice. These records carry names in the same form, made once.
"""

import hashlib
import re
from collections.abc import Iterator

import cv2
import numpy as np

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.records import Record

_PREVIEW_PX = 256  # longest side of the small copy that MLflow's grid loads
_PREVIEW_QUALITY = 85  # OpenCV's own choice is lossless, five times as large


def image_records(key: str, image: np.ndarray, step: int) -> Iterator[Record]:
    """A picture and its small copy under a key, for one step.

    Args:
        key: name of the slider; ``/`` groups.
        image: (H, W, 3) RGB uint8.
        step: global training iterations done.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _PREVIEW_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    preview = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    digest = hashlib.sha256(image.tobytes()).hexdigest()[:32]
    # MLflow's own form: '/' in the key as '~', '+' between the parts
    safe_key = re.sub(r'[^A-Za-z0-9_\-. ~]', '_', key.replace('/', '~'))
    stem = f'images/{safe_key}+step+{step}+timestamp+{records.now_ms()}+{digest}'
    yield records.blob(cv2.imencode('.png', bgr)[1].tobytes(), f'{stem}.png')
    quality = [cv2.IMWRITE_WEBP_QUALITY, _PREVIEW_QUALITY]
    webp = cv2.imencode('.webp', preview, quality)[1].tobytes()
    yield records.blob(webp, f'{stem}+compressed.webp')
    yield records.tags({'mlflow.loggedImages': 'True'})
