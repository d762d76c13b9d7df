"""Build hook: configs/, tools/ and model-index.yml go into the package as mmext/.mim.

That is where mmengine looks for ``_base_ = 'mmext::upsnet.py'`` and mim for the
tools. A wheel (from the checkout or from the sdist) gets copies; an editable
install gets links, so that an edited config is seen at once.
All metadata stands in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ('configs', 'tools', 'model-index.yml')
# the set-up of a checkout is of no use without one
LEFT_OUT = shutil.ignore_patterns('__pycache__', '.*', 'setup_env.py')


class BuildWithMim(build_py):
    """``build_py`` that adds ``mmext/.mim``."""

    def run(self) -> None:
        """Build the package, then fill ``.mim``."""
        super().run()
        if self.editable_mode:
            refill(ROOT / 'mmext' / '.mim', link=True)
        else:
            refill(Path(self.build_lib) / 'mmext' / '.mim', link=False)


def refill(folder: Path, link: bool) -> None:
    """Replace ``folder`` by links to, or copies of, what is shipped."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in SHIPPED:
        source, target = ROOT / name, folder / name
        if link:
            try:
                target.symlink_to(Path('..', '..', name), target_is_directory=source.is_dir())
                continue
            except OSError:  # Windows without the right to make links: copies, renewed by pip
                pass
        if source.is_dir():
            shutil.copytree(source, target, ignore=LEFT_OUT)
        else:
            shutil.copy2(source, target)


setup(cmdclass={'build_py': BuildWithMim})
