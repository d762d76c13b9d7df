"""The transform in a pipeline: what it draws, what it leaves alone, what it refuses."""

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dim_pictures import picture
from mmcv.transforms import Compose

from mmext.errors import InputError, MissingFileError
from mmext.registry import TRANSFORMS
from mmext.translation.appearance import (
    cumulative_histograms,
    lab_moments,
    low_amplitudes,
    match_fourier,
    match_histograms,
    match_moments,
)
from mmext.translation.match_appearance import MatchAppearance
from mmext.translation.references import read_small

COUNT = 3


@pytest.fixture(scope='module')
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dark pictures, one of them in a subfolder, and something that is none."""
    root = tmp_path_factory.mktemp('nights')
    (root / 'inner').mkdir()
    for number, name in enumerate(['a.png', 'b.png', 'inner/c.PNG']):
        done, data = cv2.imencode('.png', picture(number + 5, (40, 50), dark=0.2 + 0.2 * number))
        assert done
        (root / name).write_bytes(data.tobytes())
    (root / 'notes.txt').write_text('none')
    return root


def drawn(transform: MatchAppearance, source: np.ndarray, seed: int, count: int = 8) -> list[Any]:
    np.random.seed(seed)
    return [transform.transform(dict(img=source.copy()))['img'] for _ in range(count)]


@pytest.mark.parametrize(
    ('method', 'matched'),
    [
        ('fourier', lambda s, r: match_fourier(s, low_amplitudes(r, 2))),
        ('histogram', lambda s, r: match_histograms(s, cumulative_histograms(r))),
        ('mean_std', lambda s, r: match_moments(s, lab_moments(r))),
    ],
)
def test_every_picture_looks_like_one_of_the_references(
    nights: Path, method: str, matched: Any
) -> None:
    transform = MatchAppearance(str(nights), method, prob=1.0, beta=0.05)
    source = picture(0)
    possible = [matched(source, read_small(path)) for path in transform.pictures]
    assert len(possible) == COUNT
    found = drawn(transform, source, 0, 20)
    equal = np.array([[np.array_equal(f, p) for p in possible] for f in found])
    assert (equal.sum(1) == 1).all()
    assert equal.any(0).all()


def test_draws_are_those_of_the_seed_also_after_a_journey_to_a_worker(nights: Path) -> None:
    transform = MatchAppearance(str(nights), prob=0.5, strength=(0.2, 1.0))
    first = drawn(transform, picture(0), 1)
    for again in (transform, pickle.loads(pickle.dumps(transform))):
        np.testing.assert_array_equal(drawn(again, picture(0), 1), first)
    assert not np.array_equal(drawn(transform, picture(0), 2), first)
    unchanged = sum(
        np.array_equal(each, picture(0)) for each in drawn(transform, picture(0), 0, 60)
    )
    assert 15 < unchanged < 45


def test_probability_and_strength_at_their_ends(nights: Path) -> None:
    source = picture(0)
    for off in (dict(prob=0.0), dict(prob=1.0, strength=0.0)):
        for found in drawn(MatchAppearance(str(nights), **off), source, 0):  # type: ignore[arg-type]
            np.testing.assert_array_equal(found, source)
    half = drawn(MatchAppearance(str(nights), prob=1.0, strength=0.5), source, 0)[0]
    whole = drawn(MatchAppearance(str(nights), prob=1.0), source, 0)[0]
    np.testing.assert_allclose(half, (source.astype(float) + whole) / 2, atol=0.51)


def test_memory_is_bounded_and_changes_nothing(nights: Path) -> None:
    small, large = (MatchAppearance(str(nights), prob=1.0, cache=size) for size in (1, 9))
    np.testing.assert_array_equal(drawn(small, picture(0), 0, 12), drawn(large, picture(0), 0, 12))
    assert len(small._measured) == 1
    assert len(large._measured) == COUNT
    assert sum(each.nbytes for each in large._measured.values()) <= COUNT * 6 * 1024


def test_in_a_pipeline_of_the_host(nights: Path) -> None:
    step = dict(type='mmext.MatchAppearance', reference=str(nights), prob=1.0)
    pipeline = Compose([dict(type='mmdet.RandomFlip', prob=0.0), TRANSFORMS.build(step)])
    boxes = np.array([[1.0, 2, 30, 40]], np.float32)
    results = pipeline(dict(img=picture(0), gt_bboxes=boxes, img_shape=(48, 65)))
    assert results['img'].dtype == np.uint8
    assert results['img'].mean() < 0.8 * picture(0).mean()
    np.testing.assert_array_equal(results['gt_bboxes'], boxes)


def test_pictures_of_a_coco_file(nights: Path, tmp_path: Path) -> None:
    file = tmp_path / 'images.json'
    file.write_text(json.dumps(dict(images=[dict(file_name='b.png', id=1)])))
    transform = MatchAppearance(str(file), reference_root=str(nights))
    assert transform.pictures == [nights / 'b.png']
    with pytest.raises(MissingFileError, match=r'1 of 1 pictures are missing.*reference_root'):
        MatchAppearance(str(file))
    for content, message in (('{}', 'no COCO file'), ('{"images": []}', 'is empty')):
        file.write_text(content)
        with pytest.raises(InputError, match=message):
            MatchAppearance(str(file))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(method='gram'), "method 'gram': choose one of fourier, histogram, mean_std"),
        (dict(prob=1.5), r'prob: expected a number from 0 to 1.0, got 1.5'),
        (dict(strength=(0.9, 0.1)), 'the lower comes first'),
        (dict(strength=-1), 'strength: expected a number'),
        (dict(beta=0.5), 'beta: expected a number from 0 to 0.499, got 0.5'),
        (dict(cache=0), 'cache: expected 1 or more, got 0'),
    ],
)
def test_wrong_arguments(nights: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MatchAppearance(str(nights), **arguments)


def test_wrong_folders_and_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match='no such folder or file'):
        MatchAppearance(str(tmp_path / 'nowhere'))
    with pytest.raises(InputError, match='no picture in it'):
        MatchAppearance(str(tmp_path))
    (tmp_path / 'broken.jpg').write_bytes(b'none')
    with pytest.raises(InputError, match=r'broken.jpg: cannot be read as a picture'):
        MatchAppearance(str(tmp_path), prob=1.0).transform(dict(img=picture(0)))


@pytest.mark.parametrize(
    'wrong', [picture(0).astype(np.float32), picture(0)[..., 0], np.zeros((4, 4, 4), np.uint8)]
)
def test_pictures_that_are_not_eight_bit_colors(nights: Path, wrong: np.ndarray) -> None:
    transform = MatchAppearance(str(nights), prob=1.0)
    with pytest.raises(InputError, match=r'my.jpg is .* not uint8 \[H, W, 3\]'):
        transform.transform(dict(img=wrong, img_path='my.jpg'))


def test_a_reference_smaller_than_the_waves(nights: Path) -> None:
    transform = MatchAppearance(str(nights), 'fourier', prob=1.0, beta=0.2)
    with pytest.raises(InputError, match=r'too small for beta=0.2'):
        transform.transform(dict(img=picture(0, (200, 200))))


def test_large_references_are_read_small(tmp_path: Path) -> None:
    big = picture(1, (900, 1400))
    cv2.imwrite(str(tmp_path / 'big.jpg'), big, [cv2.IMWRITE_JPEG_QUALITY, 95])
    small = read_small(tmp_path / 'big.jpg')
    assert max(small.shape) == 512
    np.testing.assert_allclose(small.mean((0, 1)), big.mean((0, 1)), atol=1.5)
