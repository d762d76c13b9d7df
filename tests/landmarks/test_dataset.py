"""One sample for each object while training, one for each image in tests."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmext.registry import DATASETS

META = dict(classes=('face',), keypoints=('a', 'b'), flip_pairs=((0, 1),))


def write(folder: Path, *points: list) -> None:
    """Two images; each of ``points`` is an object of the first one, the last one a crowd."""
    for name in ('1.png', '2.png'):
        cv2.imwrite(str(folder / name), np.zeros((20, 30, 3), np.uint8))
    objects = [
        dict(id=n, image_id=1, category_id=1, bbox=[1, 1, 10, 10], area=100, keypoints=p,
             iscrowd=int(n == len(points)), num_keypoints=sum(v > 0 for v in p[2::3]))
        for n, p in enumerate(points, 1)
    ]  # fmt: skip
    pictures = [dict(id=n, file_name=f'{n}.png', width=30, height=20) for n in (1, 2)]
    categories = [dict(id=1, name='face', keypoints=['a', 'b'], skeleton=[])]
    content = dict(images=pictures, annotations=objects, categories=categories)
    (folder / 'a.json').write_text(json.dumps(content))


def build(folder: Path, **changed: Any) -> Any:
    config = dict(type='mmext.CocoLandmarkDataset', metainfo=META, ann_file='a.json')
    return DATASETS.build(
        {**config, 'data_root': str(folder), 'data_prefix': dict(img=''), **changed}
    )


def test_objects_and_images(tmp_path: Path) -> None:
    write(tmp_path, [3, 3, 2, 5, 5, 1], [3, 3, 2, 0, 0, 0], [0] * 6, [4, 4, 2, 4, 4, 2])
    training = build(tmp_path)
    assert len(training) == 2
    infos = [training.get_data_info(n) for n in range(2)]
    assert [len(info['instances']) for info in infos] == [1, 1]
    assert [info['instances'][0]['keypoints'][3] for info in infos] == [5, 0]
    assert infos[0]['num_keypoints'] == 2
    assert infos[0]['flip_pairs'] == ((0, 1),)
    both = build(tmp_path, filter_cfg=dict(min_keypoints=2))
    assert len(both) == 1
    testing = build(tmp_path, test_mode=True)
    assert [len(testing.get_data_info(n)['instances']) for n in range(2)] == [4, 0]


def test_nothing_to_learn(tmp_path: Path) -> None:
    write(tmp_path, [3, 3, 2, 0, 0, 0], [0] * 6)
    with pytest.raises(ValueError, match='none left by filter_cfg'):
        build(tmp_path, filter_cfg=dict(min_keypoints=2))
