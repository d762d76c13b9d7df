"""Names: none over another, none lost, letters of any script."""

import numpy as np
import pytest

from mmext.drawing import fonts, labels
from mmext.drawing.fonts import readable, text_mask
from mmext.drawing.labels import Label, draw_labels
from mmext.drawing.layout import text_size

RED = (255, 0, 0)


@pytest.fixture
def plates(monkeypatch: pytest.MonkeyPatch) -> list:
    """The text and the rectangle of everything that is written, which is written all the same."""
    seen = []
    draw = labels._draw_plate

    def note(picture, text, color, spot, size) -> None:
        seen.append((text, spot.tolist()))
        draw(picture, text, color, spot, size)

    monkeypatch.setattr(labels, '_draw_plate', note)
    return seen


def overlaps(first: list, second: list) -> bool:
    """Whether two rectangles share a pixel."""
    return all(max(first[i], second[i]) < min(first[i + 2], second[i + 2]) for i in (0, 1))


@pytest.mark.parametrize('shape', [(480, 640), (120, 90), (40, 300), (1200, 1600)])
@pytest.mark.parametrize('count', [1, 30, 300])
def test_no_name_lies_on_another_and_none_leaves_the_picture(shape, count, plates) -> None:
    rng = np.random.default_rng(count)
    height, width = shape
    corners = rng.uniform(0, 0.8, (count, 2)) * (width, height)
    boxes = np.hstack([corners, corners + rng.uniform(2, 0.5 * min(shape), (count, 2))])
    names = [
        Label(f'name{i % 7}', RED, tuple(map(int, box)), '0.50') for i, box in enumerate(boxes)
    ]
    draw_labels(np.zeros((*shape, 3), np.uint8), names)
    assert plates
    for number, (_, spot) in enumerate(plates):
        assert min(spot) >= 0 and spot[2] <= width and spot[3] <= height
        assert not any(overlaps(spot, other) for _, other in plates[:number])


def test_what_finds_no_place_is_counted(plates) -> None:
    """A hundred cats in one corner, and a dog that is too small to be named."""
    cats = [Label('cat', RED, (300, 200, 340, 240))] * 100
    draw_labels(np.zeros((480, 640, 3), np.uint8), cats, [Label('dog', RED, (0, 0, 1, 1))])
    texts = [text for text, _ in plates]
    written = texts.count('cat')
    assert 5 < written < 100
    assert texts[-2:] == ['dog', f'cat × {100 - written}']
    assert plates[-1][1][3] == 480  # at the bottom


def test_sand_and_fish_are_two_words(plates) -> None:
    same = [Label(name, RED, (50, 50, 90, 90), '', (70, 70)) for name in ('sand', 'fish')]
    draw_labels(np.zeros((200, 200, 3), np.uint8), same)
    (first, second) = (spot for _, spot in plates)
    assert [text for text, _ in plates] == ['sand', 'fish'] and not overlaps(first, second)


def test_letters_grow_with_the_photo() -> None:
    sizes = [text_size(np.zeros((side, side, 3), np.uint8)) for side in (100, 480, 3000)]
    assert sizes == [10, 13, 79]


@pytest.mark.parametrize('name', ['Straße', 'кот', 'γάτα', 'חתול', 'été', 'naïve ½'])
def test_letters_of_the_scripts_of_dejavu(name: str) -> None:
    """Every letter has ink of its own, none that of the sign for what is missing."""
    assert readable(name, 'class 0') == name
    missing = text_mask('\U0010ffff', 20, 999)
    masks = [text_mask(letter, 20, 999) for letter in set(name) - {' '}]
    assert all(mask.any() and not np.array_equal(mask, missing) for mask in masks)


def test_without_a_font_the_class_is_named_by_its_number(monkeypatch) -> None:
    monkeypatch.setattr(fonts, '_system_files', lambda: [])
    for cache in (fonts._file_for, fonts._told, readable):
        cache.cache_clear()
    with pytest.warns(UserWarning, match="letters of '猫': pictures say 'class 3'"):
        assert readable('猫', 'class 3') == 'class 3'
    assert readable('犬', 'class 4') == 'class 4'  # told once
    for cache in (fonts._file_for, fonts._told, readable):
        cache.cache_clear()


@pytest.mark.parametrize('text', ['', ' \n', 'a\nb', '\ud800x', 'w' * 500])
def test_odd_names_are_written_as_well(text: str) -> None:
    mask = text_mask(text, 12, 100)
    assert mask.shape[0] >= 12 and 1 <= mask.shape[1] <= 101
    picture = np.zeros((60, 80, 3), np.uint8)
    draw_labels(picture, [Label(text, RED, (10, 20, 40, 50))])
    assert picture.any()
