"""configs/metafile.yml and model-index.yml name what exists, all of it, once."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_metafile_lists_every_config_once() -> None:
    models = yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())['Models']
    listed = [model['Config'] for model in models]
    existing = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'configs').rglob('*.py')
        if '_base_' not in path.parts
    ]
    assert sorted(listed) == sorted(existing)
    assert len({model['Name'] for model in models}) == len(models)


def test_index_lists_existing_metafiles() -> None:
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import'] == ['configs/metafile.yml']
    assert (ROOT / 'configs' / 'metafile.yml').is_file()


def test_config_names_have_no_dot() -> None:
    """Mmengine cuts the name in `package::name` at its first dot."""
    dotted = [path.name for path in (ROOT / 'configs').rglob('*.py') if '.' in path.stem]
    assert not dotted
