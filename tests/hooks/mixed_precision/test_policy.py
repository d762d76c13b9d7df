"""What each precision means on a device."""

import pytest
import torch

from mmext.hooks.mixed_precision import policy
from mmext.hooks.mixed_precision.policy import PRECISIONS, choose_precision, has_native


@pytest.mark.parametrize(
    ('name', 'dtype'),
    [('fp32', torch.float32), ('bf16', torch.bfloat16), ('fp16', torch.float16)],
)
def test_what_is_asked_for_is_taken(name: str, dtype: torch.dtype) -> None:
    assert choose_precision(name, 'cpu').dtype == dtype


def test_auto_takes_on_this_cpu_only_what_is_native() -> None:
    choice = choose_precision('auto', 'cpu')
    assert choice.name == 'fp32' or has_native(choice.dtype, 'cpu')
    assert choice.warning is None
    assert 'CPU' in choice.reason


@pytest.mark.parametrize(
    ('abilities', 'vendor', 'expected'),
    [
        ('amx_tile avx512_bf16', 'GenuineIntel', 'bf16'),
        ('avx512_bf16 avx512_fp16', 'GenuineIntel', 'fp32'),  # half the rate of fp32 was measured
        ('avx512_bf16', 'AuthenticAMD', 'bf16'),
        ('avx512_bf16', '', 'fp32'),
        ('', 'AuthenticAMD', 'fp32'),
    ],
)
def test_auto_on_a_cpu_takes_bf16_where_it_is_faster(
    abilities: str, vendor: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, 'cpu_has', lambda ability: ability in abilities.split())
    monkeypatch.setattr(policy, '_cpu_vendor', lambda: vendor)
    assert choose_precision('auto', 'cpu').name == expected


@pytest.mark.parametrize(
    ('bf16', 'capability', 'expected'),
    [(True, (8, 0), 'bf16'), (False, (7, 5), 'fp16'), (False, (6, 1), 'fp32')],
)
def test_auto_on_a_gpu_takes_what_its_cores_do(
    bf16: bool, capability: tuple, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch says that old GPUs support bf16, as it emulates it
    monkeypatch.setattr(
        torch.cuda,
        'is_bf16_supported',
        lambda including_emulation=True: including_emulation or bf16,
    )
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: capability)
    assert choose_precision('auto', 'cuda').name == expected


def test_auto_leaves_unknown_devices_in_fp32() -> None:
    assert choose_precision('auto', 'meta').name == 'fp32'


def test_emulated_precision_is_taken_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('_is_amx_fp16_supported', '_is_avx512_bf16_supported', '_is_amx_tile_supported'):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert 'many times slower' in str(choose_precision('fp16', 'cpu').warning)
    assert 'emulated' in str(choose_precision('bf16', 'cpu').warning)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of auto, fp32, bf16, fp16, got 'half'"):
        choose_precision('half', 'cpu')
    assert len(PRECISIONS) == 4


def test_device_without_autocast_is_refused() -> None:
    with pytest.raises(ValueError, match='meta has no autocast'):
        choose_precision('bf16', 'meta')
    assert choose_precision('fp32', 'meta').name == 'fp32'


def test_gpu_without_bf16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation=True: False)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'Old GPU')
    with pytest.raises(ValueError, match='Old GPU cannot do bf16, expected fp16 or fp32'):
        choose_precision('bf16', 'cuda')
