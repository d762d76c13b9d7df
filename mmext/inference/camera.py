"""A camera that is never behind: what comes while a frame is being worked on is dropped.

A queue would grow as long as the model is slower than the camera, and show an ever older past.
"""

import threading
import time
from collections.abc import Iterator

from mmext.errors import InputError
from mmext.inference.media import Frame, Source


class LatestFrames(Source):
    """The newest frame of a source, each time one is asked for.

    A thread reads the source at its own pace and keeps one frame. Frames carry the numbers of the
    source, so that gaps show what was dropped.

    Args:
        source: of a video.

    Attributes:
        read: frames of the source so far.
        given: of those, frames that were not dropped.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source.name, source.length, source.fps)
        self.source = source
        self.read = self.given = 0
        self._news = threading.Condition()
        self._newest: Frame | None = None
        self._failure: Exception | None = None
        self._ended = self._stopped = False
        self._seconds = 0.0

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the source ends; the last one is never dropped.

        Raises:
            InputError: the source failed.
        """
        self.source.reader = self.reader
        thread = threading.Thread(target=self._read, name=f'{self.name} reader', daemon=True)
        began = time.perf_counter()
        thread.start()
        try:
            while (frame := self._take()) is not None:
                self.given += 1
                yield frame
                self._seconds = time.perf_counter() - began
        finally:
            self._stopped = True
            thread.join(timeout=5)
        if self._failure is not None:
            raise InputError(f'{self.name}: {self._failure}') from self._failure
        self.skipped += self.source.skipped

    def account(self) -> str:
        """How many frames came, were worked on and dropped, and at what rate."""
        rate = self.given / self._seconds if self._seconds else 0.0
        return (
            f'{self.name}: {self.given} of {self.read} frames, {self.read - self.given} dropped, '
            f'{rate:.1f} frames/s'
        )

    def _take(self) -> Frame | None:
        with self._news:
            self._news.wait_for(lambda: self._newest is not None or self._ended)
            frame, self._newest = self._newest, None
            return frame

    def _read(self) -> None:
        try:
            for frame in self.source:
                with self._news:
                    self.read += 1
                    self._newest = frame
                    self._news.notify()
                if self._stopped:
                    break
        except Exception as error:  # told where frames are taken
            self._failure = error
        finally:
            with self._news:
                self._ended = True
                self._news.notify()
