"""Peak memory of a prediction and of a training step, each in a process of its own.

``python -m mmext.benchmark.memory JOB.json`` prints MiB on its last line: on a CPU the growth
of the resident set from before the model was built to the peak, on a GPU torch's peak. Weights,
and for training gradients and the optimiser's state, are in it.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmext.benchmark.candidates import load_candidates
from mmext.errors import InputError, run_tool
from mmext.host import import_mmdet
from mmext.inference.memory import forget_peak, resident_mib

_REPETITIONS = 2  # the allocator settles with the second
_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class MemoryJob:
    """What one process measures.

    Attributes:
        spec: ``CONFIG`` or ``CONFIG=CHECKPOINT``.
        precision: 'fp32', 'bf16' or 'fp16'.
        device: as torch names it.
        files: the batch.
        training: a training step, not a prediction.
        threads: of torch.
        options: of the config.
    """

    spec: str
    precision: str
    device: str
    files: Sequence[str]
    training: bool
    threads: int
    options: Mapping[str, Any] = field(default_factory=dict)


def peak_mib(job: MemoryJob) -> float:
    """Run the job in a fresh process and return its peak.

    Raises:
        RuntimeError: it failed; with the last line that it wrote.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'job.json')
        path.write_text(json.dumps(asdict(job)))
        command = [sys.executable, '-W', 'ignore', '-m', 'mmext.benchmark.memory', str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RuntimeError(said[-1] if said else f'ended with code {done.returncode}')
    return float(done.stdout.splitlines()[-1])


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the job in the file that is named."""
    (path,) = sys.argv[1:] if argv is None else argv
    if not Path(path).is_file():
        raise InputError(f'no such job: {path}')
    print(measure_here(MemoryJob(**json.loads(Path(path).read_text()))))


def measure_here(job: MemoryJob) -> float:
    """The peak of this process, which should have done nothing before."""
    import torch

    import_mmdet()
    from mmengine.registry import init_default_scope

    from mmext.benchmark.inference import Inference, build_model
    from mmext.benchmark.training import Training

    torch.set_num_threads(job.threads)
    (candidate,) = load_candidates([job.spec], job.options)
    init_default_scope(candidate.config.default_scope)
    files = [Path(file) for file in job.files]
    forget_peak()
    before = resident_mib('VmRSS')
    model = build_model(candidate, job.device, files)
    if job.training:
        training = Training(model, candidate.config, job.precision, files)
    else:
        inference = Inference(model, candidate.config, job.precision)
    for _ in range(_REPETITIONS):
        if job.training:
            training.milliseconds()
        else:
            inference.milliseconds(files)
    if job.device.startswith('cuda'):
        return torch.cuda.max_memory_allocated(job.device) / 2**20
    return resident_mib('VmHWM') - before


if __name__ == '__main__':
    sys.exit(run_tool(main))
