"""What is installed, what the machine can do, and what is missing for what."""

import importlib
import importlib.util
from collections.abc import Iterator

from mmext.benchmark.machine import machine_facts

OPTIONAL = {  # package to import: what it is for, and how it comes
    'mlflow': ('MLflow logging', 'mlflow'),
    'av': ('videos that browsers play (infer)', 'mmext[video]'),
    'onnx': ('ONNX export', 'mmext[export]'),
    'onnxscript': ('ONNX export', 'mmext[export]'),
    'onnxruntime': ('ONNX export, its check', 'mmext[export]'),
    'captum': ('mmext explain, some of its methods', 'mmext[explain]'),
    'sklearn': ('mmext explain, planes of objects', 'mmext[explain]'),
    'optuna': ('mmext sweep', 'mmext[sweep]'),
    'openvino': ('infer --backend openvino', 'mmext[openvino]'),
    'supervision': ('Result.to_supervision', 'supervision'),
    'fiftyone': ('Result.to_fiftyone', 'fiftyone'),
}
_COMPILED = 'mmcv._ext'


def installation_lines() -> Iterator[str]:
    """One line for each fact of the machine, package and missing part."""
    facts = {**machine_facts(), 'GPU': _gpu(), 'mmcv operators': _operators()}
    width = max(map(len, [*facts, *OPTIONAL]))
    for name, value in facts.items():
        yield f'{name:{width}}  {value}'
    for package, (purpose, requirement) in OPTIONAL.items():
        there = importlib.util.find_spec(package) is not None
        state = 'there' if there else f"not installed: pip install '{requirement}'"
        yield f'{package:{width}}  {state} ({purpose})'


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return f'none that torch {torch.__version__} can use'
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f'{", ".join(names)} (CUDA {torch.version.cuda})'


def _operators() -> str:
    try:
        importlib.import_module(_COMPILED)
    except ImportError as error:
        return (
            f'not compiled ({error}): no model runs; `mmext setup` compiles them for this Python '
            'and torch'
        )
    return 'compiled'
