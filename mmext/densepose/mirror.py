"""Surface coordinates in mirror images: parts change sides, U and V by tables.

Sources: the mirror tables of DensePose's data (Güler et al., CVPR 2018), read where the user has
them, or derived from a mesh whose vertices know their mirror image.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmext.errors import InputError, MissingFileError
from mmext.formats.surface_annotations import MIRRORED_MASKS
from mmext.formats.surface_files import (
    MIRRORED_PARTS,
    NO_MIRROR,
    SYMMETRY_FILE,
    TABLE_SIDE,
    read_surface,
    read_symmetry_tables,
)
from mmext.functional.surface_mirror import derive_symmetry_tables

Floats = NDArray[np.floating[Any]]


class SurfaceMirror:
    """What part, U, V and masks become in a mirror image.

    Args:
        u_table: mirrored U ``[24, 256, 256]``; rows are V, columns U.
        v_table: mirrored V likewise.
    """

    def __init__(self, u_table: Floats, v_table: Floats) -> None:
        self._tables = np.stack([u_table, v_table]).astype(np.float32)
        self._parts = np.array(MIRRORED_PARTS)
        self._masks = np.arange(256, dtype=np.uint8)  # what is no mask stays
        self._masks[: len(MIRRORED_MASKS)] = MIRRORED_MASKS

    def points(self, iuv: Floats) -> Floats:
        """Part, U, V ``[..., 3]`` of the mirror image; parts below 1 stay as they are."""
        part = iuv[..., 0].astype(np.int64)
        cells = np.floor((TABLE_SIDE - 1) * iuv[..., 1:].clip(0, 1)).astype(np.int64)
        on_chart = part > 0
        place = np.where(on_chart, part - 1, 0), cells[..., 1], cells[..., 0]
        found = iuv.copy()
        found[..., 0] = np.where(on_chart, self._parts[part * on_chart], part)
        for axis, table in enumerate(self._tables, start=1):
            found[..., axis] = np.where(on_chart, table[place], iuv[..., axis])
        return found

    def masks(self, canvases: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Coarse parts ``[...]`` by their names in the mirror image."""
        return self._masks[canvases]

    def maps(self, coarse: Tensor, parts: Tensor, uv: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Network outputs of the mirrored image as those of the image itself.

        Args:
            coarse: logits ``[R, 2 or 15, S, S]``.
            parts: logits ``[R, 25, S, S]``.
            uv: U and V, each ``[R, 25, S, S]``.

        Returns:
            The four of them.
        """
        flipped = [values.flip(-1) for values in (coarse, parts, *uv)]
        cells = [(values.clamp(0, 1) * (TABLE_SIDE - 1)).long() for values in flipped[2:]]
        channel = torch.arange(1, len(self._parts), device=parts.device)[None, :, None, None]
        found = []
        for number, table in enumerate(torch.from_numpy(self._tables).to(parts.device)):
            own = flipped[2 + number].clone()
            own[:, 1:] = table[channel - 1, cells[1][:, 1:], cells[0][:, 1:]].to(own.dtype)
            found.append(own[:, self._parts])
        if coarse.shape[1] == len(MIRRORED_MASKS):
            flipped[0] = flipped[0][:, MIRRORED_MASKS]
        return [flipped[0], flipped[1][:, self._parts], *found]


def read_mirror(path: str | Path) -> SurfaceMirror:
    """The mirror tables in a ``.mat`` file, or those of a surface's folder.

    A folder without the tables has a mesh from which they are derived.

    Raises:
        MissingFileError: nothing is there.
        InputError: they are no such files.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / SYMMETRY_FILE).is_file():
            mesh = read_surface(path)
            if (mesh.mirror == NO_MIRROR).any():
                raise MissingFileError(
                    f'{path}: the surface does not know its mirror image, and there is no '
                    f'{SYMMETRY_FILE}, which is part of the UV data of DensePose'
                )
            try:
                tables = derive_symmetry_tables(mesh.part, mesh.u, mesh.v, mesh.mirror)
            except ValueError as error:
                raise InputError(f'{path}: no mirror image can be derived: {error}') from None
            return SurfaceMirror(*tables)
        path = path / SYMMETRY_FILE
    if not path.is_file():
        raise MissingFileError(
            f'no mirror tables at {path.absolute()}: {SYMMETRY_FILE} is part of the UV data of '
            'DensePose; `python -m mmext.demo figures` writes those of the figures'
        )
    return SurfaceMirror(*read_symmetry_tables(path))
