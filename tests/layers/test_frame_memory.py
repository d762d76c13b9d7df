"""Where a video begins, and which frame is whose reference."""

import pytest
import torch

from mmext.layers.frame_memory import FrameMemory, VideoOrder

torch.set_num_threads(1)


def place(video_id, frame_id):
    return dict(video_id=video_id, frame_id=frame_id)


@pytest.mark.parametrize('first', [0, 1, 4711, -3])
def test_a_video_may_begin_with_any_number(first):
    order = VideoOrder()
    assert [order.follows(place('a', first + i)) for i in range(3)] == [False, True, True]


def test_gaps_follow_and_going_back_or_another_video_does_not():
    order = VideoOrder()
    places = [('a', 1), ('a', 5), ('a', 5), ('a', 2), ('b', 3), ('a', 4), ('a', 6)]
    verdicts = [order.follows(place(*p)) for p in places]
    assert verdicts == [False, True, False, False, False, False, True]


def test_a_frame_of_no_video_stands_alone():
    order = VideoOrder()
    order.follows(place('a', 1))
    assert not order.follows({})
    assert not order.follows({})
    assert not order.follows(place('a', 2))


def test_video_zero_is_a_video():
    order = VideoOrder()
    assert [order.follows(place(0, i)) for i in range(2)] == [False, True]


def test_a_frame_of_a_video_needs_a_number():
    with pytest.raises(ValueError, match=r"frame_id.*'a'"):
        VideoOrder().follows(dict(video_id='a'))


def frames(*values):
    """One map and picture per value."""
    column = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)
    return column.expand(-1, 4, 2, 2), column.expand(-1, 3, 8, 8) + 0.5


def test_references_across_batches_and_videos():
    memory = FrameMemory()
    (gathered, pictures), moved = memory.references(
        frames(1, 2, 3), [place('a', 0), place('a', 1), place('b', 2)]
    )
    assert gathered[:, 0, 0, 0].tolist() == [1, 1, 3]
    assert pictures[:, 0, 0, 0].tolist() == [1.5, 1.5, 3.5]
    assert moved == {1: 0}
    (gathered, _), moved = memory.references(frames(4, 5), [place('b', 3), place('b', 4)])
    assert gathered[:, 0, 0, 0].tolist() == [3, 4]
    assert moved == {0: 2, 1: 3}
    memory.reset()
    assert memory.references(frames(6), [place('b', 5)])[1] == {}


def test_a_frame_of_another_size_begins_anew():
    memory = FrameMemory()
    memory.references(frames(1), [place('a', 0)])
    wide = torch.ones(1, 4, 2, 3), torch.ones(1, 3, 8, 12)
    assert memory.references(wide, [place('a', 1)])[1] == {}


def test_keeps_one_frame_however_long_the_video():
    memory = FrameMemory()
    for number in range(20):
        memory.references(frames(*range(6)), [place('a', number * 6 + i) for i in range(6)])
    kept = memory._last
    assert [part.untyped_storage().nbytes() for part in kept] == [4 * 4 * 4, 3 * 64 * 4]


def test_any_number_of_maps_is_kept():
    """As a neck does that fuses every level."""
    memory = FrameMemory()
    gathered, pictures = frames(1, 2, 3)
    maps = (gathered, gathered[..., :1, :1] * 10, pictures)
    references, _ = memory.references(maps, [place('a', i) for i in range(3)])
    assert [reference.shape for reference in references] == [map_.shape for map_ in maps]
    assert references[1][:, 0, 0, 0].tolist() == [10, 10, 20]


def test_another_padding_is_no_other_size():
    """A batch with a larger picture pads the frame more; the padding is the batch's."""
    memory = FrameMemory()
    meta = [dict(place('a', i), img_shape=(8, 8)) for i in range(4)]
    gathered, pictures = frames(1, 2, 3, 4)
    memory.references((gathered[:1], pictures[:1]), meta[:1])
    wide = [
        torch.nn.functional.pad(maps[1:2], (0, by)) for maps, by in ((gathered, 1), (pictures, 4))
    ]
    (ref_gathered, ref_pictures), moved = memory.references(wide, meta[1:2])
    assert moved == {0: 0}
    assert ref_gathered[0, 0].tolist() == [[1, 1, 0], [1, 1, 0]]
    assert ref_pictures.shape == (1, 3, 8, 12) and (ref_pictures[..., 8:] == 0).all()
    (ref_gathered, _), moved = memory.references((gathered[2:3], pictures[2:3]), meta[2:3])
    assert moved == {0: 1} and (ref_gathered == 2).all()
    smaller = [dict(meta[3], img_shape=(7, 8))]
    _, moved = memory.references((gathered[3:], pictures[3:]), smaller)
    assert not moved
