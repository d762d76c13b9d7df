"""Keys of the decoder of the well-known port of Show, Attend and Tell, and what they are here.

sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning saves whole modules, which run code when they are
read; ``torch.save(decoder.state_dict(), FILE)`` in its own environment makes a file of weights
alone. The words are those of its word map, where the special ones have other numbers.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.formats.checkpoint_keys import Converted, Rename, rename_keys
from mmext.language.vocabulary import SPECIAL

_TABLE = [
    Rename(r'(?:decoder\.)?attention\.encoder_att\.(weight|bias)', r'decoder.feature_keys.\1'),
    Rename(r'(?:decoder\.)?attention\.decoder_att\.(weight|bias)', r'decoder.state_query.\1'),
    Rename(r'(?:decoder\.)?attention\.full_att\.(weight|bias)', r'decoder.place_score.\1'),
    Rename(r'(?:decoder\.)?init_h\.(weight|bias)', r'decoder.start_hidden.\1'),
    Rename(r'(?:decoder\.)?init_c\.(weight|bias)', r'decoder.start_cell.\1'),
    Rename(r'(?:decoder\.)?f_beta\.(weight|bias)', r'decoder.gate.\1'),
    Rename(r'(?:decoder\.)?decode_step\.((?:weight|bias)_(?:ih|hh))', r'decoder.cell.\1'),
    Rename(r'(?:decoder\.)?fc\.(weight|bias)', r'decoder.words.\1'),
    Rename(r'(?:decoder\.)?embedding\.weight', r'decoder.embedding.weight'),
]
_OF_WORDS = ('decoder.words.weight', 'decoder.words.bias', 'decoder.embedding.weight')


def convert(source: Mapping[str, Tensor]) -> Converted:
    """The state of :class:`~mmext.language.caption_head.CaptionHead`, its words in their old order.

    Args:
        source: the state dict of the port's decoder.

    Raises:
        InputError: a key that no line knows.
    """
    return rename_keys(source, _TABLE)


def reorder_words(
    state: Mapping[str, Tensor], word_map: Mapping[str, int]
) -> tuple[dict[str, Tensor], list[str]]:
    """Bring the rows of the words into our order: special ones first.

    Args:
        state: of :func:`convert`.
        word_map: of the port, word to number, with ``<pad>``, ``<start>``, ``<end>``, ``<unk>``.

    Returns:
        The state, and the list of words for :class:`~mmext.language.caption_head.CaptionHead`.

    Raises:
        InputError: a special word is missing, or the numbers do not fit the weights.
    """
    missing = [word for word in SPECIAL if word not in word_map]
    count = len(state['decoder.words.bias'])
    if missing or sorted(word_map.values()) != list(range(count)):
        raise InputError(
            f'word map: {", ".join(missing)} missing'
            if missing
            else f'word map: its numbers are not those of the {count} words of the weights'
        )
    words = [word for word in sorted(word_map, key=word_map.__getitem__) if word not in SPECIAL]
    order = torch.tensor([word_map[word] for word in (*SPECIAL, *words)])
    reordered = {k: v[order] if k in _OF_WORDS else v for k, v in state.items()}
    return reordered, words
