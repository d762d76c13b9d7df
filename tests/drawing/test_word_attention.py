"""The sheet of a sentence's attention."""

import numpy as np

from mmext.drawing.word_attention import region_attention, word_attention


def test_each_word_shows_where_it_looked() -> None:
    photo = np.full((40, 60, 3), 128, np.uint8)
    kept = photo.copy()
    attention = np.zeros((2, 4, 4))
    attention[0, 0, 0] = attention[1, 3, 3] = 0.7
    sheet = word_attention(photo, 'red ball', attention)
    # photo and two panels of 112 x 75 px, 8 px apart
    first, second = sheet[8:83, 128:240].astype(int), sheet[8:83, 248:360].astype(int)
    for panel, brightest, darkest in ((first, (4, 4), (70, 106)), (second, (70, 106), (4, 4))):
        assert panel[brightest].sum() > panel[darkest].sum() + 150
    assert (photo == kept).all()


def test_regions_one_below_the_other() -> None:
    photo = np.zeros((50, 50, 3), np.uint8)
    weights = np.ones((2, 3, 3))
    boxes, captions = [(0, 0, 20, 20), (10, 10, 50, 40)], ['a ball', 'a tree']
    two = region_attention(photo, boxes, captions, [weights] * 2)
    one = region_attention(photo, boxes[:1], captions[:1], [weights])
    assert two is not None and one is not None and two.shape[0] > one.shape[0]
    assert region_attention(photo, [], [], []) is None
    assert region_attention(photo, [(60, 60, 70, 70)], ['a ball'], [weights]) is None
