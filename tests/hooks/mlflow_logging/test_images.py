import re

import cv2
import numpy as np

from mmext.hooks.mlflow_logging.content.images import image_records


def test_pictures_survive_and_previews_are_small() -> None:
    image = np.random.default_rng(0).integers(0, 255, (300, 600, 3), dtype=np.uint8)
    png, webp, tags = image_records('val/a#b', image, 12)

    stored = cv2.imdecode(np.frombuffer(png['data'], np.uint8), cv2.IMREAD_COLOR)
    assert (stored[..., ::-1] == image).all()
    preview = cv2.imdecode(np.frombuffer(webp['data'], np.uint8), cv2.IMREAD_COLOR)
    assert preview.shape == (128, 256, 3)
    assert tags['values'] == {'mlflow.loggedImages': 'True'}


def test_names_have_mlflows_form(work_dir, logged) -> None:  # type: ignore[no-untyped-def]
    """The same parts as those of MLflow's own ``log_image``."""
    image = np.zeros((4, 4, 3), np.uint8)
    experiment = logged.client.create_experiment('e', (work_dir / 'artifacts').as_uri())
    run = logged.client.create_run(experiment)
    logged.client.log_image(run.info.run_id, image, key='val/a', step=3, synchronous=True)
    theirs = [path for path in logged.artifacts() if path.endswith('.png')]
    (ours, *_) = image_records('val/a', image, 3)
    # older versions write % for +
    their_parts, our_parts = (re.split('[+%]', path) for path in (theirs[0], ours['artifact']))
    assert our_parts[1:4] == their_parts[1:4] == ['step', '3', 'timestamp']
    assert len(our_parts) == len(their_parts)
