"""Written videos: what is in them, by either encoder."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmext.errors import InputError
from mmext.inference import video_files
from mmext.inference.video_files import create_video

SIZE_WH = (64, 48)


@pytest.fixture(params=['H264', 'FMP4'])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With PyAV, where it is installed, and without."""
    if request.param == 'H264':
        pytest.importorskip('av')
    else:
        monkeypatch.setattr(video_files, 'find_spec', lambda name: None)
    return request.param


def test_frames_come_back(codec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'a.mp4'
    video = create_video(path, 29.97, SIZE_WH)
    for value in (0, 60, 120, 180, 240):
        frame = np.full((48, 64, 3), value, np.uint8)
        frame[:, :32] = (255, 0, 0)  # blue
        video.write(frame)
    video.close()
    capture = cv2.VideoCapture(str(path))
    number = int(capture.get(cv2.CAP_PROP_FOURCC))
    assert number.to_bytes(4, 'little').decode().upper() in (codec, 'AVC1'[: 4 * (codec == 'H264')])
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(29.97, abs=0.01)
    for value in (0, 60, 120, 180, 240):
        frame = capture.read()[1]
        assert frame.shape == (48, 64, 3)
        assert frame[:, 44:].mean() == pytest.approx(value, abs=6)
        assert frame[24, 12].tolist() == pytest.approx([255, 0, 0], abs=25)
    assert not capture.read()[0]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == (codec == 'FMP4') and all('mmext[video]' in line for line in told)


def test_a_folder_that_is_not_there_is_named(codec: str, tmp_path: Path) -> None:
    path = tmp_path / 'none' / 'a.mp4'
    with pytest.raises(InputError, match=r'none.a\.mp4'):
        video = create_video(path, 10.0, SIZE_WH)
        video.write(np.zeros((48, 64, 3), np.uint8))
        video.close()


def test_a_build_without_h264_falls_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(video_files, 'find_spec', lambda name: object())
    monkeypatch.setattr(video_files, '_has_h264', lambda: False)
    video = create_video(tmp_path / 'a.mp4', 10.0, SIZE_WH)
    video.write(np.zeros((48, 64, 3), np.uint8))
    video.close()
    assert cv2.VideoCapture(str(tmp_path / 'a.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 1
