"""Flow on disk: Middlebury's ``.flo`` and numpy's ``.npz``.

Source: Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011, for the
``.flo`` format: a float32 of 202021.25, width and height as int32, then (x, y) per pixel, row by
row, float32, all little-endian.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError, MissingFileError
from mmext.formats.numpy_files import read_npz

_MAGIC = 202021.25
_HEADER_BYTES = 12

Flow = npt.NDArray[np.float32]


def read_flow(path: str) -> Flow:
    """The flow in a file.

    Args:
        path: ``.flo``, or ``.npz`` with the array ``flow`` or a single one.

    Returns:
        float32 [H, W, 2], (x, y) in pixels.

    Raises:
        MissingFileError: no such file.
        InputError: another file format, or content that is no flow.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f'no optical flow at {os.path.abspath(path)}')
    if path.endswith('.npz'):
        flow = _read_npz(path)
    elif path.endswith('.flo'):
        flow = _read_flo(path)
    else:
        raise InputError(f'{path}: expected a .flo or .npz file')
    if not np.isfinite(flow).all():  # would be read as one place of the picture
        raise InputError(f'{path}: {(~np.isfinite(flow)).sum()} values of the flow are no number')
    return flow


def read_hidden(path: str) -> npt.NDArray[np.bool_] | None:
    """Where a pixel's content cannot be seen in the other image ``[H, W]``; None if no file says.

    Args:
        path: as for :func:`read_flow`, which has checked it; ``.npz`` may hold an array ``hidden``.
    """
    if not path.endswith('.npz'):
        return None
    arrays = read_npz(path)
    return np.asarray(arrays['hidden'], bool) if 'hidden' in arrays else None


def write_flow(path: str, flow: Flow) -> None:
    """Write a flow [H, W, 2] as ``.flo`` or compressed ``.npz``, by the name of the file.

    Raises:
        InputError: another file format, or an array of another shape.
    """
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise InputError(f'flow: expected [H, W, 2], got {list(flow.shape)}')
    flow = np.ascontiguousarray(flow, '<f4')
    if path.endswith('.npz'):
        np.savez_compressed(path, flow=flow)
    elif path.endswith('.flo'):
        size = np.array(flow.shape[1::-1], '<i4')
        Path(path).write_bytes(np.float32(_MAGIC).tobytes() + size.tobytes() + flow.tobytes())
    else:
        raise InputError(f'{path}: expected a .flo or .npz file')


def _read_flo(path: str) -> Flow:
    data = Path(path).read_bytes()
    if len(data) < _HEADER_BYTES or np.frombuffer(data, '<f4', 1)[0] != _MAGIC:
        raise InputError(f'{path}: not a .flo file')
    width, height = (int(size) for size in np.frombuffer(data, '<i4', 2, offset=4))
    expected = _HEADER_BYTES + 8 * width * height
    if min(width, height) < 1 or len(data) != expected:
        raise InputError(
            f'{path}: a flow of {width} x {height} has {expected} bytes, the file {len(data)}'
        )
    values = np.frombuffer(data, '<f4', offset=_HEADER_BYTES)
    return values.reshape(height, width, 2).astype(np.float32)


def _read_npz(path: str) -> Flow:
    arrays = read_npz(path)
    names = list(arrays)
    if 'flow' not in names and len(names) != 1:
        raise InputError(f'{path}: expected an array named flow or a single one, got {names}')
    flow = arrays['flow' if 'flow' in names else names[0]]
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise InputError(f'{path}: expected [H, W, 2], got {list(flow.shape)}')
    return np.asarray(flow, np.float32)
