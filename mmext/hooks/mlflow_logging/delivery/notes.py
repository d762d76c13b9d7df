"""The description of a run: sections of ours in a text that people write in as well.

MLflow keeps it as a tag, in Markdown. A section lies between two lines that Markdown takes for
link definitions and does not show; what is outside of them is left as it is.
"""

import re
from collections.abc import Mapping

NOTE_TAG = 'mlflow.note.content'
MAX_LENGTH = 5000  # of a tag, in older servers


def merged(present: str, sections: Mapping[str, str], once: bool = False) -> str:
    """The description with sections of ours renewed, or appended where there are none yet.

    Args:
        present: what the run has.
        sections: name to Markdown.
        once: those that are there already stay.

    Returns:
        The text; the present one where the new one is longer than MLflow takes.

    >>> text = merged('mine', {'results': 'AP 0.3'})
    >>> text = merged(text, {'results': 'AP 0.4'})
    >>> text.startswith('mine'), 'AP 0.3' in text, text.count('AP 0.4')
    (True, False, 1)
    """
    text = present
    for name, content in sections.items():
        begin, end = f'[//]: # (mmext {name})', f'[//]: # (end of mmext {name})'
        section = f'{begin}\n\n{content.strip()}\n\n{end}'
        found = re.compile(f'{re.escape(begin)}.*?{re.escape(end)}', re.DOTALL)
        if match := found.search(text):
            if not once:
                text = text[: match.start()] + section + text[match.end() :]
        else:
            text = f'{text.rstrip()}\n\n{section}' if text.strip() else section
    return text if len(text) <= MAX_LENGTH else present
