"""Data sets of pairs, and of two domains without pairs."""

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from mmext.errors import InputError
from mmext.formats.picture_files import IMAGE_SUFFIXES
from mmext.registry import DATASETS


@DATASETS.register_module()
class PictureFolder(BaseDataset):
    """All pictures of a folder, without annotations.

    Args:
        data_prefix: ``img``, and for pairs in two folders ``source``: files of equal stems.
        **keywords: of mmengine's ``BaseDataset``; no ``ann_file``.

    Raises:
        InputError: no such folder, no picture in it, or a picture without its pair.
    """

    def __init__(self, data_prefix: dict[str, str] | None = None, **keywords: Any) -> None:
        keywords.setdefault('serialize_data', False)
        super().__init__(data_prefix=data_prefix or dict(img=''), **keywords)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry for each picture, by name."""
        files = self._files('img')
        sources = self._files('source') if 'source' in self.data_prefix else {}
        if sources and (alone := sorted(files.keys() ^ sources.keys())):
            raise InputError(
                f'{self.data_prefix["img"]} and {self.data_prefix["source"]}: {len(alone)} '
                f'pictures have no pair of the same name (as {alone[0]})'
            )
        return [
            dict(
                img_id=stem,
                img_path=str(path),
                **({'source_path': str(sources[stem])} if sources else {}),
            )
            for stem, path in files.items()
        ]

    def _files(self, kind: str) -> dict[str, Path]:
        folder = Path(self.data_prefix[kind])
        if not folder.is_dir():
            raise InputError(
                f'no folder {folder.absolute()}: check data_root and data_prefix.{kind}'
            )
        found = sorted(f for f in folder.rglob('*') if f.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise InputError(
                f'no pictures in {folder.absolute()} '
                f'(looked for {", ".join(sorted(IMAGE_SUFFIXES))})'
            )
        return {file.relative_to(folder).with_suffix('').as_posix(): file for file in found}


@DATASETS.register_module()
class UnpairedDataset:
    """Pictures of two domains: every one of A with any one of B.

    A and B are any data sets whose pipelines end in ``PackDetInputs``, each with crops and flips of
    its own; labels of A go along. An epoch is as long as the longer one. The picture of B is drawn
    from NumPy's generator; in a test (``test_mode`` of A) it is the one at the same place.

    Args:
        a: config.
        b: config.

    Raises:
        InputError: one of them is empty.
    """

    def __init__(self, a: dict, b: dict) -> None:
        self.a, self.b = DATASETS.build(a), DATASETS.build(b)
        self.datasets = [self.a, self.b]  # as of the host's wrappers, for who looks into them
        for name, part in (('a', self.a), ('b', self.b)):
            if not len(part):
                raise InputError(f'UnpairedDataset: {name} holds no picture')

    @property
    def metainfo(self) -> dict[str, Any]:
        """That of A."""
        return self.a.metainfo

    def full_init(self) -> None:
        """Load both lists."""
        self.a.full_init()
        self.b.full_init()

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A sample of A, its ``target`` a picture of B."""
        in_test = getattr(self.a, 'test_mode', False)
        place = index % len(self.b) if in_test else int(np.random.randint(len(self.b)))
        sample = self.a[index % len(self.a)]
        sample['data_samples'].target = self.b[place]['inputs']
        return sample
