"""Trains one step and validates with the headline config of each system, as installed.

Run by test_installed.py in an environment with the wheel: ``one_step_each.py TESTS``.
"""

import sys
from pathlib import Path

TESTS, HERE = Path(sys.argv[1]), Path.cwd()
for folder in ('configs', 'cli/prepare', 'upsnet', 'centernet'):
    sys.path.insert(0, str(TESTS / folder))

from miniature_sets import WRITERS  # noqa: E402
from small_configs import small_config, start  # noqa: E402

HEADLINES = (
    'upsnet.py',
    'vpsnet.py',
    'centernet.py',
    'centernet/triplet-hourglass104_480k_coco.py',
    'retinaface.py',
    'landmarks.py',
    'yolact_edge.py',
)


def find_data(data_root: str) -> Path:
    """The miniature of a data set, written when it is asked for."""
    folder = HERE / data_root
    if not folder.exists():
        WRITERS[folder.name](folder)
    return folder


for name in HEADLINES:
    config = small_config(f'mmext::{name}', find_data)
    runner = start(config, HERE / Path(name).stem)
    runner.train()
    said = [key for key in runner.message_hub.log_scalars if key.startswith('val/')]
    assert runner.iter == 1 and said, (name, said)
    print('trained', name)
