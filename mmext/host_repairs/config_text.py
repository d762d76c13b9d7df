"""The text of a config, laid out once and not at every checkpoint.

Host: ``mmengine.config.Config.pretty_text``.
Fault: it is laid out anew (by yapf, 1 s and more for a config of a detector) at each call; the
runner asks for it at every checkpoint, while the training waits.
Repair: the text of a config that has not changed is remembered.
"""

from mmengine.config import Config

_TEXT = 'pretty_text'


def repair() -> None:
    """Mend it for every config."""
    made = getattr(Config, _TEXT)
    if getattr(made.fget, '__wrapped__', None) is not None:
        return
    known: dict[str, str] = {}  # the last one: what it holds, and its text

    def pretty_text(config: Config) -> str:
        """The config as Python, laid out."""
        content = repr(config._cfg_dict)
        if content not in known:
            text = made.fget(config)
            known.clear()
            known[content] = text
        return known[content]

    pretty_text.__wrapped__ = made.fget  # type: ignore[attr-defined]
    setattr(Config, _TEXT, property(pretty_text, doc=made.__doc__))
