"""Text vectors by a sentence encoder that is installed already; nothing is fetched.

``sentence_transformers:FOLDER`` takes a folder with a model; ``PACKAGE.MODULE:FUNCTION`` any
function that makes ``[n, D]`` of n sentences. A name is put into templates, and its vector is the
mean of theirs, each of length 1 (an ensemble of prompts, Radford et al. 2021).
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError, MissingFileError, MissingPackageError
from mmext.language.table import TextTable

Encode = Callable[[list[str]], npt.NDArray[np.float32]]
DEFAULT_TEMPLATES = ('a photo of a {}',)


def find_encoder(name: str) -> Encode:
    """The function behind the name of an encoder.

    Raises:
        InputError: its package, folder or function is not there.
    """
    package, _, rest = name.partition(':')
    if not rest:
        raise InputError(
            f'encoder {name!r}: expected sentence_transformers:FOLDER or PACKAGE.MODULE:FUNCTION'
        )
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(f'encoder {name!r}: {error}; install it first') from None
    if package == 'sentence_transformers':
        if not Path(rest).is_dir():
            raise MissingFileError(
                f'encoder {name!r}: no folder {Path(rest).absolute()}; nothing is downloaded'
            )
        return module.SentenceTransformer(rest, local_files_only=True).encode
    function = getattr(module, rest, None)
    if not callable(function):
        raise InputError(f'encoder {name!r}: {package} has no function {rest!r}')
    return function


def encode_names(
    names: Sequence[str], encoder: str, templates: Sequence[str] = DEFAULT_TEMPLATES
) -> TextTable:
    """A table of names by an encoder.

    Args:
        names: of classes or tags.
        encoder: see :func:`find_encoder`.
        templates: sentences with ``{}`` for the name.

    Raises:
        InputError: the encoder is not there, does not return numbers ``[n, D]``, or a template has
            no ``{}``.
    """
    bare = [template for template in templates if '{}' not in template]
    if bare or not templates:
        raise InputError(f'template {bare[0]!r} has no {{}}' if bare else 'no template')
    encode = find_encoder(encoder)
    sentences = [t.replace('{}', name.replace('_', ' ')) for name in names for t in templates]
    vectors = np.asarray(_answer(encode, sentences, encoder), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(sentences):
        raise InputError(
            f'encoder {encoder!r}: {len(sentences)} sentences gave {list(vectors.shape)}, expected '
            '[sentences, D]'
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    means = (vectors / np.maximum(lengths, 1e-12)).reshape(len(names), len(templates), -1).mean(1)
    return TextTable(tuple(names), means, f'{encoder}, {" | ".join(templates)}')


def _answer(encode: Encode, sentences: list[str], encoder: str) -> Any:
    try:
        return encode(sentences)
    except Exception as error:  # whatever the user's function raises is theirs to mend
        raise InputError(f'encoder {encoder!r} failed: {error!r}') from error
