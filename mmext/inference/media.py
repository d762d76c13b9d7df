"""Image files, folders, videos and cameras as one stream of frames."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mmext.errors import InputError

IMAGE_SUFFIXES = frozenset(
    ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
)
DEFAULT_FPS = 10.0  # cameras and files that do not tell


class Frame(NamedTuple):
    """One picture of a source: BGR ``[H, W, 3]`` uint8, as OpenCV and the models have it.

    ``image_id`` is unique in the source; ``name`` is a relative file name, unique as well.
    """

    image_id: int | str
    name: str
    image: npt.NDArray[np.uint8]


class Source(ABC):
    """A stream of frames.

    Args:
        name: for files made from it.
        length: number of frames; None when it is not known.
        fps: frames a second of a video; None for separate pictures.
    """

    def __init__(self, name: str, length: int | None, fps: float | None) -> None:
        self.name, self.length, self.fps = name, length, fps
        self.skipped: list[str] = []

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order, once; what cannot be read is named in ``skipped``."""


def open_source(spec: str) -> Source:
    """Open what the user named: an image, a folder, a video, or a camera by its index.

    Raises:
        InputError: it does not exist or holds no picture.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.rglob('*') if file.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise InputError(
                f'no images in {path.absolute()} (looked for {", ".join(sorted(IMAGE_SUFFIXES))})'
            )
        return Images(files, path)
    if path.is_file():
        is_image = path.suffix.lower() in IMAGE_SUFFIXES
        return Images([path], path.parent) if is_image else Video(str(path), path.stem)
    if spec.isdigit():
        return Video(int(spec), f'camera{spec}')
    raise InputError(f'input not found: {path.absolute()} is no image, folder or video')


class Images(Source):
    """Image files; one that cannot be read is skipped.

    Files that are all named by a different number have it as ``image_id``, as the photos of
    COCO; the others have their name.
    """

    def __init__(self, files: list[Path], root: Path) -> None:
        super().__init__(root.name, len(files), fps=None)
        self.files, self.root = files, root
        stems = [file.stem for file in files]
        numbers = {int(stem) for stem in stems if stem.isascii() and stem.isdigit()}
        self._numbered = len(numbers) == len(files)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the readable images."""
        for file in self.files:
            image = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if image is None:
                self.skipped.append(str(file))
                continue
            name = file.relative_to(self.root).as_posix()
            image_id = int(file.stem) if self._numbered else name
            yield Frame(image_id, name, np.asarray(image, np.uint8))


class Video(Source):
    """A video file, or a camera until it ends or the program is interrupted."""

    def __init__(self, source: str | int, name: str) -> None:
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            what = f'camera {source}' if isinstance(source, int) else Path(source).absolute()
            raise InputError(f'{what} cannot be opened as a video')
        frames = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        fps = float(self._capture.get(cv2.CAP_PROP_FPS)) or DEFAULT_FPS
        super().__init__(name, frames if frames > 0 else None, fps)

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames, numbered from 0."""
        number = 0
        while True:
            found, image = self._capture.read()
            if not found:
                self._capture.release()
                return
            yield Frame(number, f'{self.name}/{number:06d}.jpg', np.asarray(image, np.uint8))
            number += 1


class PictureWriter:
    """Writes drawn pictures: one file each, or the frames of one video.

    Args:
        folder: where to.
        source: a source with ``fps`` becomes a video.
        video: its file; ``folder/<name>.mp4`` if None.
    """

    def __init__(self, folder: Path, source: Source, video: Path | None = None) -> None:
        self.folder, self.source = folder, source
        self.video = video or folder / f'{source.name}.mp4'
        self.count = 0
        self._video: cv2.VideoWriter | None = None
        self._size: tuple[int, int] = (0, 0)

    def write(self, name: str, picture_rgb: npt.NDArray[np.uint8]) -> None:
        """Write one picture; ``name`` as in :class:`Frame`."""
        self.count += 1
        bgr: Any = cv2.cvtColor(picture_rgb, cv2.COLOR_RGB2BGR)
        if self.source.fps is not None:
            self._write_frame(bgr, self.source.fps)
            return
        path = self.folder / name
        if path.suffix.lower() not in ('.jpg', '.jpeg', '.png'):
            path = path.with_name(f'{path.name}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), bgr)

    def close(self) -> None:
        """Finish the video, if there is one."""
        if self._video is not None:
            self._video.release()

    def _write_frame(self, bgr: Any, fps: float) -> None:
        if self._video is None:
            # the codec wants even sides
            self._size = (bgr.shape[1] // 2 * 2, bgr.shape[0] // 2 * 2)
            self.video.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*'mp4v')
            self._video = cv2.VideoWriter(str(self.video), codec, fps, self._size)
            if not self._video.isOpened():
                raise InputError(f'{self.video} cannot be written as an mp4 video by this OpenCV')
        self._video.write(bgr[: self._size[1], : self._size[0]])
