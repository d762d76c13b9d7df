"""Flow files: round trips, the bytes of the format, broken files."""

import struct

import numpy as np
import pytest

from mmext.errors import InputError
from mmext.formats.flow_files import read_flow, write_flow


@pytest.mark.parametrize('name', ['a.flo', 'a.npz'])
def test_round_trip(tmp_path, name):
    flow = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    write_flow(str(tmp_path / name), flow)
    read = read_flow(str(tmp_path / name))
    np.testing.assert_array_equal(read, flow)
    assert read.dtype == np.float32 and read.flags.writeable


def test_bytes_of_middlebury(tmp_path):
    path = tmp_path / 'a.flo'
    path.write_bytes(b'PIEH' + struct.pack('<ii', 2, 1) + struct.pack('<4f', 1, 2, 3, 4))
    assert read_flow(str(path)).tolist() == [[[1, 2], [3, 4]]]
    write_flow(str(tmp_path / 'b.flo'), read_flow(str(path)))
    assert (tmp_path / 'b.flo').read_bytes() == path.read_bytes()


def test_npz_of_others(tmp_path):
    np.savez(tmp_path / 'one.npz', whatever=np.ones((2, 3, 2)))
    assert read_flow(str(tmp_path / 'one.npz')).shape == (2, 3, 2)
    np.savez(tmp_path / 'two.npz', a=np.ones(1), b=np.ones(1))
    with pytest.raises(ValueError, match='named flow'):
        read_flow(str(tmp_path / 'two.npz'))
    np.savez(tmp_path / 'flat.npz', flow=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r'\[H, W, 2\]'):
        read_flow(str(tmp_path / 'flat.npz'))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'not a .flo'),
        (b'PNG.' + bytes(40), 'not a .flo'),
        (b'PIEH' + struct.pack('<ii', 2, 2) + bytes(8), 'has 44 bytes, the file 20'),
        (b'PIEH' + struct.pack('<ii', -1, -1) + bytes(8), 'bytes'),
    ],
)
def test_broken_files_say_so(tmp_path, content, message):
    path = tmp_path / 'a.flo'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_flow(str(path))


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='optical flow'):
        read_flow(str(tmp_path / 'a.flo'))
    (tmp_path / 'a.png').touch()
    with pytest.raises(ValueError, match=r'a\.png'):
        read_flow(str(tmp_path / 'a.png'))
    with pytest.raises(ValueError, match=r'b\.txt'):
        write_flow(str(tmp_path / 'b.txt'), np.zeros((1, 1, 2), np.float32))
    with pytest.raises(ValueError, match=r'\[3, 4\]'):
        write_flow(str(tmp_path / 'b.flo'), np.zeros((3, 4), np.float32))


@pytest.mark.parametrize('name', ['a.flo', 'a.npz'])
def test_a_flow_without_values_says_so(tmp_path, name):
    flow = np.zeros((3, 4, 2), np.float32)
    flow[1, 2] = np.nan, np.inf
    write_flow(str(tmp_path / name), flow)
    with pytest.raises(ValueError, match=rf'{name}: 2 values of the flow are no number'):
        read_flow(str(tmp_path / name))


def test_an_npz_that_is_cut_off(tmp_path):
    write_flow(str(tmp_path / 'a.npz'), np.zeros((3, 4, 2), np.float32))
    whole = (tmp_path / 'a.npz').read_bytes()
    (tmp_path / 'a.npz').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r'a\.npz is no NumPy file'):
        read_flow(str(tmp_path / 'a.npz'))
