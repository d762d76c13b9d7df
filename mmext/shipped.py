"""Where the configs and the tools are that belong to this package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """The folder ``configs`` or ``tools``.

    An installed package has both in ``.mim``. In a checkout that is not installed, or whose
    folder hides an installed package, they lie beside the package.

    Returns:
        The folder; that of an installed package where there is neither.
    """
    installed = _PACKAGE / '.mim' / name
    beside = _PACKAGE.parent / name
    in_checkout = (_PACKAGE.parent / 'model-index.yml').is_file()
    return beside if in_checkout and not installed.is_dir() else installed
