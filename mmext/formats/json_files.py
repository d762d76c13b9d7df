"""JSON files as people have them: with a byte order mark, in UTF-16, cut off, empty."""

import json
from typing import Any

from mmext.errors import InputError


def parse_json(data: bytes, source: str) -> Any:
    r"""The content of a JSON file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Args:
        data: the bytes of the file.
        source: its name, for the error.

    Raises:
        InputError: it is empty, cut off, or no JSON; says where.

    >>> parse_json(b'\xef\xbb\xbf[1]', 'list.json')
    [1]
    """
    if not data.strip():
        raise InputError(f'{source} is empty; write or download it again')
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        raise InputError(
            f'{source} is no text in UTF-8 or UTF-16 (byte {error.start}); if it is compressed, '
            'unpack it, else save it as UTF-8'
        ) from None
    except json.JSONDecodeError as error:
        text = error.doc.strip()
        is_cut = text[0] in '{[' and text[-1] not in '}]'
        what = 'is cut off' if is_cut else 'is no JSON'
        raise InputError(
            f'{source} {what}: {error.msg} at line {error.lineno}, column {error.colno}; '
            'write or download it again'
        ) from None
    except RecursionError:
        raise InputError(f'{source} is nested too deeply to be read') from None
