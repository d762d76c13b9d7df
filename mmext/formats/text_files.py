"""Text files as people have them: in UTF-8, with or without a byte order mark."""

from pathlib import Path

from mmext.errors import InputError


def read_text(path: str | Path) -> str:
    """The text of a file; a byte order mark, which editors put in front, is no part of it.

    Raises:
        FileNotFoundError: no such file.
        InputError: it is no text in UTF-8.
    """
    try:
        return Path(path).read_text('utf-8-sig')
    except UnicodeDecodeError as error:
        raise InputError(
            f'{path}: no text file in UTF-8 (byte {error.start}); save it as UTF-8'
        ) from None
