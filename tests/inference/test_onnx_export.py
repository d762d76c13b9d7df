"""What stops an export before it starts."""

import pytest

from mmext.errors import InputError
from mmext.inference import onnx_export


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, 'NEEDED', ('torch', 'no_such_package'))
    with pytest.raises(InputError, match=r'needs no_such_package: pip install "mmext\[export\]"'):
        onnx_export.check_packages()
