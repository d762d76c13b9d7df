"""LoadImage: every kind of image file comes in right, or is refused by name."""

from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import pytest
from mmengine.config import ConfigDict
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mmext.errors import InputError, input_error
from mmext.pipelines.loading import LoadImage
from mmext.registry import TRANSFORMS

BGR = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8), (9, 9), 0)


def load(path: Path, record: dict[str, Any] | None = None, **options: Any) -> Any:
    """The results of loading one file."""
    return LoadImage(**options)({'img_path': str(path), **(record or {})})


def saved(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize('mode', ['RGB', 'L', '1', 'P', 'LA', 'RGBA', 'CMYK'])
def test_eight_bits_or_less(mode: str, tmp_path: Path) -> None:
    """As Pillow has it; the colors below transparent pixels are seen."""
    picture = Image.fromarray(BGR[..., ::-1]).convert(mode)
    if mode in ('LA', 'RGBA'):
        picture.putalpha(40)
    path = saved(tmp_path / ('x.jpg' if mode == 'CMYK' else 'x.png'), picture)
    expected = np.asarray(Image.open(path).convert('RGB'), np.float64)
    image = load(path)['img']
    assert image.dtype == np.uint8 and image.shape == (60, 80, 3)
    np.testing.assert_allclose(image[..., ::-1], expected, atol=4 if mode == 'CMYK' else 0)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.tiff', '.webp'])
@pytest.mark.parametrize('flag', ['color', 'grayscale', 'unchanged', 'color_ignore_orientation'])
def test_plain_photos_are_those_of_the_host(suffix: str, flag: str, tmp_path: Path) -> None:
    path = tmp_path / f'x{suffix}'
    cv2.imwrite(str(path), BGR)
    expected = mmcv.imfrombytes(path.read_bytes(), flag=flag)
    np.testing.assert_array_equal(load(path, color_type=flag)['img'], expected)


def test_the_first_page_of_several(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((4, 5, 3), value, np.uint8)) for value in (10, 200)]
    for suffix in ('.tiff', '.png'):
        path = saved(tmp_path / f'x{suffix}', pages[0], save_all=True, append_images=pages[1:])
        assert (load(path)['img'] == 10).all()


DEEP = [
    ('.png', np.uint16, 16, (0, 4080)),  # 12 bits in 16
    ('.png', np.uint16, 257, (0, 65535)),
    ('.tiff', np.uint16, 16, (0, 4080)),
    ('.tiff', np.float32, 1, (0, 255)),
    ('.tiff', np.float32, 1 / 255, (0, 1)),
    ('.tiff', np.int32, 1000, (0, 255000)),
    ('.tiff', np.float64, 1, (0, 255)),
]


@pytest.mark.parametrize('gray', [False, True], ids=['color', 'gray'])
@pytest.mark.parametrize(('suffix', 'kind', 'factor', 'value_range'), DEEP)
def test_deep_images(
    suffix: str, kind: Any, factor: float, value_range: tuple[float, float], gray: bool,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Nothing is guessed: without a range a refusal, with one the image that was made deep."""
    source = BGR[..., 0] if gray else BGR
    path = tmp_path / f'x{suffix}'
    deep = (source.astype(np.float64) * factor).astype(kind)
    cv2.imwrite(str(path), deep, [cv2.IMWRITE_TIFF_COMPRESSION, 1])  # 1: as it is
    with pytest.raises(ValueError, match=r'x\.\w+: samples are .*value_range=\(black, white\)'):
        load(path)
    image = load(path, value_range=value_range)['img']
    expected = np.repeat(source[..., None], 3, axis=2) if gray else source
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(
        load(path, color_type='unchanged')['img'].squeeze().shape, source.shape
    )


def test_pillow_writes_one_float_channel(tmp_path: Path) -> None:
    path = saved(tmp_path / 'x.tif', Image.fromarray(BGR[..., 0].astype(np.float32)))
    np.testing.assert_array_equal(load(path, value_range=(0, 255))['img'][..., 2], BGR[..., 0])
    image = load(path, value_range=(0, 255), color_type='grayscale')['img']
    np.testing.assert_array_equal(image, BGR[..., 0])


def test_a_range_by_hand(tmp_path: Path) -> None:
    """Below black and above white is cut off; float32 keeps the steps between."""
    cv2.imwrite(str(tmp_path / 'x.png'), np.array([[0, 100, 150, 151, 300, 65535]], np.uint16))
    options = dict(value_range=(100, 300), color_type='grayscale')
    loaded = load(tmp_path / 'x.png', **options)['img']
    assert loaded.tolist() == [[0, 0, 64, 65, 255, 255]]
    fine = load(tmp_path / 'x.png', to_float32=True, **options)['img']
    assert fine.dtype == np.float32
    np.testing.assert_allclose(fine, [[0, 0, 63.75, 65.025, 255, 255]])


def test_eight_bits_do_not_take_part_in_a_range(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'x.png'), BGR)
    np.testing.assert_array_equal(load(tmp_path / 'x.png', value_range=(0, 4095))['img'], BGR)


@pytest.mark.parametrize('value_range', [(5, 5), (1, 0), (0,), (0, float('nan')), 4095, 'ab'])
def test_a_range_that_is_none(value_range: Any) -> None:
    with pytest.raises(InputError, match=r'value_range.*expected \(black, white\)'):
        LoadImage(value_range=value_range)


def test_floats_that_are_no_numbers(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'x.tiff'), np.array([[0, np.nan]], np.float32))
    with pytest.raises(ValueError, match=r'x\.tiff: some samples are NaN'):
        load(tmp_path / 'x.tiff', value_range=(0, 1))


def test_a_decoder_that_shortens_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'x.png'), BGR.astype(np.uint16) * 16)
    with pytest.raises(ValueError, match="imdecode_backend='pillow' shortens"):
        load(tmp_path / 'x.png', imdecode_backend='pillow')
    cv2.imwrite(str(tmp_path / 'y.png'), BGR)
    image = load(tmp_path / 'y.png', imdecode_backend='pillow')['img']
    np.testing.assert_array_equal(image, BGR)


def turned(path: Path, orientation: int) -> Path:
    exif = Image.Exif()
    exif[274] = orientation
    return saved(path, Image.fromarray(BGR), exif=exif)


def test_a_photo_of_another_size_than_its_record(tmp_path: Path) -> None:
    path = saved(tmp_path / 'x.png', Image.fromarray(BGR))
    assert load(path, dict(height=60, width=80))['ori_shape'] == (60, 80)
    for record in ({}, dict(height=None, width=None), dict(height=7)):
        assert load(path, record)['ori_shape'] == (60, 80)
    with pytest.raises(ValueError, match=r'x\.png: the photo is 80 x 60.*says 50 x 60; check that'):
        load(path, dict(height=60, width=50))
    with pytest.raises(ValueError, match='says 60 x 80; width and height are swapped'):
        load(path, dict(height=80, width=60))
    assert load(path, dict(height=80, width=60), check_size=False)['ori_shape'] == (60, 80)


def test_a_photo_turned_by_exif(tmp_path: Path) -> None:
    """Named, and the remedy that is named works."""
    path = turned(tmp_path / 'x.jpg', 6)
    record = dict(height=60, width=80)
    with pytest.raises(ValueError, match=r"EXIF orientation turns it.*'color_ignore_orientation'"):
        load(path, record)
    image = load(path, record, color_type='color_ignore_orientation')['img']
    stored = np.asarray(Image.open(path))[..., ::-1].astype(int)
    assert image.shape == (60, 80, 3) and np.abs(image - stored).max() <= 4
    with pytest.raises(ValueError, match='says 50 x 40; check that photo and annotations belong'):
        load(path, dict(height=40, width=50))


def jpeg() -> bytes:
    return bytes(cv2.imencode('.jpg', BGR)[1])


@pytest.mark.parametrize(
    ('name', 'content', 'reason'),
    [
        ('x.jpg', b'', 'the file is empty'),
        ('x.jpg', b'\n<!DOCTYPE html><html>404', 'it is a web page'),
        ('x.jpg', jpeg()[: len(jpeg()) // 2], 'its end is missing'),
        ('x.png', bytes(cv2.imencode('.png', BGR)[1])[:-20], 'its end is missing'),
        ('x.png', b'no picture', 'damaged, or of a format'),
        ('x.bmp', bytes(cv2.imencode('.bmp', BGR)[1])[:500], 'damaged, or of a format'),
    ],
)
def test_what_cannot_be_read(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'{path}: cannot be read as an image .*{reason}'):
        load(path)
    assert load(path, ignore_empty=True) is None


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no image at .*check data_root'):
        load(tmp_path / 'gone.jpg')
    assert load(tmp_path / 'gone.jpg', ignore_empty=True) is None
    with pytest.raises(ValueError, match=r'cannot be read as an image .*directory'):
        load(tmp_path)


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    data = bytearray(cv2.imencode('.png', BGR)[1])
    data[16:24] = (20000).to_bytes(4, 'big') * 2  # the header's width and height
    (tmp_path / 'x.png').write_bytes(data)
    with pytest.raises(ValueError, match=r'x\.png: 400000000 pixels are more than the 268435456'):
        load(tmp_path / 'x.png')
    cv2.imwrite(str(tmp_path / 'y.png'), BGR)
    with pytest.raises(ValueError, match='4800 pixels are more than the 4799'):
        load(tmp_path / 'y.png', max_pixels=4799)
    for most in (4800, None):
        assert load(tmp_path / 'y.png', max_pixels=most)['img'].shape == (60, 80, 3)


def test_a_stand_in_for_a_test(tmp_path: Path) -> None:
    (tmp_path / 'x.jpg').write_bytes(jpeg()[:200])
    names = tmp_path / 'names.txt'
    results = load(tmp_path / 'x.jpg', dict(height=60, width=80), stand_ins=str(names))
    assert results['img'].shape == (60, 80, 3) and not results['img'].any()
    assert results['ori_shape'] == (60, 80)
    (line,) = names.read_text().splitlines()
    assert line.startswith(f'{tmp_path}/x.jpg: cannot be read')
    with pytest.raises(ValueError, match='its record has no size'):
        load(tmp_path / 'x.jpg', stand_ins=str(names))
    with pytest.raises(FileNotFoundError):
        load(tmp_path / 'gone.jpg', dict(height=60, width=80), stand_ins=str(names))


class OneRecord(Dataset[Any]):
    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record

    def __getitem__(self, index: int) -> Any:
        return LoadImage()(dict(self.record))

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize('content', [b'', jpeg()])
def test_a_worker_process_reports_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / 'x.jpg').write_bytes(content)
    data = OneRecord(dict(img_path=str(tmp_path / 'x.jpg'), height=1, width=1))
    with pytest.raises(ValueError) as caught:
        list(DataLoader(data, num_workers=1))
    line = input_error(caught.value)
    assert line is not None and line.startswith(f'{tmp_path}/x.jpg: ') and 'Traceback' not in line


def test_a_pipeline_that_does_not_resize_has_a_scale(tmp_path: Path) -> None:
    """The host's heads ask for it when they bring boxes and masks back to the photo."""
    path = saved(tmp_path / 'x.png', Image.fromarray(BGR[..., ::-1]))
    results = load(path)
    assert results['scale_factor'] == (1.0, 1.0)
    pack = TRANSFORMS.build(dict(type='mmdet.PackDetInputs', meta_keys=('scale_factor',)))
    assert pack(dict(results))['data_samples'].scale_factor == (1.0, 1.0)
    resize = TRANSFORMS.build(dict(type='mmdet.Resize', scale=(40, 30)))
    assert resize(results)['scale_factor'] == (0.5, 0.5)


def test_both_names_are_one_class() -> None:
    """Programs of the host look for a step whose name ends in ``LoadImageFromFile``."""
    for name in ('LoadImage', 'LoadImageFromFile'):
        step = TRANSFORMS.build(ConfigDict(type=f'mmext.{name}', value_range=(0, 4095)))
        assert type(step) is LoadImage and 'value_range=(0.0, 4095.0)' in repr(step)
