"""Names of drawn pictures: one for each photo, inside the folder."""

from pathlib import Path

import pytest
from mmdet.structures import DetDataSample

from mmext.inference.drawing_hook import _picture_name


@pytest.mark.parametrize(
    ('image_id', 'path', 'name'),
    [
        (7, '/data/a.png', '7_a.jpg'),
        ('x/a.jpg', '/data/x/a.jpg', 'x/a.jpg'),
        ('x/a.png', '/data/x/a.png', 'x/a.png.jpg'),
        ('../../a.jpg', '/data/../../a.jpg', 'a.jpg'),
        ('../../etc', '/data/a.jpg', 'etc_a.jpg'),
        ('/data/a.jpg', '/data/a.jpg', 'data/a.jpg'),
        (1, f'/data/{"街" * 84}.png', None),
    ],
)
def test_names(image_id: int | str, path: str, name: str | None) -> None:
    picture = _picture_name(DetDataSample(metainfo=dict(img_id=image_id, img_path=path)))
    assert not picture.is_absolute() and len(picture.name.encode()) <= 255
    assert name is None or picture == Path(name)
