"""Image files, folders, videos and cameras as one stream of frames."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.formats.file_names import short_name
from mmext.formats.picture_files import IMAGE_SUFFIXES
from mmext.inference.output_places import writing
from mmext.inference.video_files import VideoFile, create_video

Reader = Callable[[str], npt.NDArray[Any]]
DEFAULT_FPS = 10.0  # cameras and files that do not tell
_MOST_LOST = 1000  # damaged frames in a row, then the rest of a video is given up
# the longest side that a drawn picture may have in its format, px
_MOST_SIDES_PX = {'.jpg': 65500, '.jpeg': 65500, '.png': 2**31 - 1}


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

    Attributes:
        skipped: what could not be read or predicted, one line each.
        reader: loads an image file; that of the predictor, which loads as the config says, or
            None for the default.
    """

    def __init__(self, name: str, length: int | None, fps: float | None) -> None:
        self.name, self.length, self.fps = name, length, fps
        self.skipped: list[str] = []
        self.reader: Reader | None = None

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
        files = sorted(file for file in path.rglob('*') if _is_image_name(file))
        if not files:
            raise InputError(
                f'no images in {path.absolute()} (looked for {", ".join(sorted(IMAGE_SUFFIXES))})'
            )
        return Images(files, path)
    if path.is_file():
        if _is_image_name(path):
            return Images([path], path.parent)
        return Video(str(path), path.stem)
    if spec.isdigit():
        from mmext.inference.camera import LatestFrames  # is itself a source

        return LatestFrames(Video(int(spec), f'camera{spec}'))
    raise InputError(f'input not found: {path.absolute()} is no image, folder or video')


def _is_image_name(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()


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
        read = self.reader or _default_reader()
        for file in self.files:
            if file.exists() and not file.is_file():  # to read from a pipe would never end
                self.skipped.append(f'{file}: cannot be read as an image: it is no file')
                continue
            try:
                image = read(str(file))
            except (OSError, ValueError) as error:
                self.skipped.append(str(error))
                continue
            name = file.relative_to(self.root).as_posix()
            image_id = int(file.stem) if self._numbered else name
            yield Frame(image_id, name, np.asarray(image, np.uint8))


def _default_reader() -> Reader:
    from mmext.pipelines.loading import LoadImage  # brings torch: not before it is needed

    return LoadImage().read


class Video(Source):
    """A video file, or a camera until it ends or the program is interrupted.

    Frames that are damaged are left out; the numbers of the others go on without a gap.
    """

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
        number = lost = 0
        # a decoder may find its way again behind damaged frames
        while lost == 0 or (number + lost < (self.length or 0) and lost < _MOST_LOST):
            found, image = self._capture.read()
            if found:
                yield Frame(number, f'{self.name}/{number:06d}.jpg', np.asarray(image, np.uint8))
                number += 1
            else:
                lost += 1
        self._capture.release()
        if self.length is not None and number < self.length:
            self.skipped.append(
                f'{self.name}: the video says {self.length} frames, {number} could be read '
                f'({self.length - number} are missing or damaged)'
            )


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
        self._video: VideoFile | None = None
        self._size: tuple[int, int] = (0, 0)
        self._places: set[Path] = set()

    def write(self, name: str, picture_rgb: npt.NDArray[np.uint8]) -> None:
        """Write one picture; ``name`` as in :class:`Frame`.

        Raises:
            InputError: it cannot be written there.
            InputError: the picture is too large for its format.
        """
        bgr: Any = cv2.cvtColor(picture_rgb, cv2.COLOR_RGB2BGR)
        if self.source.fps is not None:
            self._write_frame(bgr, self.source.fps)
        else:
            write_picture(self._place(name, max(bgr.shape[:2])), bgr)
        self.count += 1

    def close(self) -> None:
        """Finish the video, if there is one.

        Raises:
            InputError: frames are missing in the file.
        """
        if self._video is None:
            return
        self._video.close()
        self._video = None
        written = int(cv2.VideoCapture(str(self.video)).get(cv2.CAP_PROP_FRAME_COUNT))
        if written < self.count:  # writers do not always tell
            raise InputError(
                f'{self.video}: {written} of {self.count} frames are in the file: is the disk full?'
            )

    def _place(self, name: str, longest_px: int) -> Path:
        """Where a picture goes: under a name of its own, in a format that can hold it."""
        path = self.folder / name
        fits = longest_px <= _MOST_SIDES_PX.get(path.suffix.lower(), 0)
        suffix = path.suffix if fits else f'{path.suffix}.png'
        place = path.with_name(short_name(path.stem, suffix))
        number = 2
        while place in self._places:  # 'a.bmp' beside 'a.bmp.png'
            place = path.with_name(short_name(path.stem, f'_{number}{suffix}'))
            number += 1
        self._places.add(place)
        return place

    def _write_frame(self, bgr: Any, fps: float) -> None:
        if self._video is None:
            # the codec wants even sides
            self._size = (bgr.shape[1] // 2 * 2, bgr.shape[0] // 2 * 2)
            self.video.parent.mkdir(parents=True, exist_ok=True)
            self._video = create_video(self.video, fps, self._size)
        self._video.write(bgr[: self._size[1], : self._size[0]])


def write_picture(path: Path, bgr: npt.NDArray[np.uint8]) -> None:
    """Write a picture in the format of the suffix; missing folders are made.

    OpenCV's own writer answers False for a full disk, a missing folder and a size that the format
    does not have alike, and on Windows takes no names beyond ASCII.

    Raises:
        InputError: it cannot be written there.
        InputError: the format cannot hold it.
    """
    try:
        encoded, data = cv2.imencode(path.suffix, bgr)
    except cv2.error:
        encoded = False
    if not encoded:
        height, width = bgr.shape[:2]
        raise InputError(
            f'{path}: a picture of {width} x {height} pixels cannot be written as {path.suffix}'
        )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
