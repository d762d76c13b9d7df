"""Trainings that are killed at any moment and resumed, while their server misbehaves.

At the end the training has been resumed until it is done, the server is well again and
``mlflow_replay.py`` has run. Then one run must have every point of the undisturbed training, once
and with its value to the last bit, and its checkpoint.
"""

import random
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from soaking.accounts import Finding
from soaking.fault_proxy import Answer, Fault, FaultProxy
from soaking.mlflow_server import MlflowServer
from soaking.programs import Nursery, Program
from soaking.subject import CLOSE_TIMEOUT_S, NUM_ITERS, Subject, compare, curves_of, runs_of

_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_MAX_KILLS = 3
_AFTER_SIGNAL_S = 30.0
_HTML = '<html>gateway</html>'
_INTERNAL = '{"error_code": "INTERNAL_ERROR", "message": "disk full"}'
_ANSWERS = (
    *(Answer(code, _HTML) for code in (400, 403, 404, 413, 429, 502)),
    *(Answer(500, _INTERNAL), Answer(200, 'nonsense'), Answer(200, '[]'), Answer(200, _HTML)),
    *(Answer(502, '', after_s=40.0), Answer(500, _INTERNAL, after_s=2.0)),
)
# Python has no place to raise it in: it says so, and the program goes on
_LOST_INTERRUPT = re.compile(r'^Exception ignored in.*?^KeyboardInterrupt:? ?$', re.DOTALL | re.M)
_PARTS = ('', 'log-batch', 'PUT ', 'runs/', 'experiments/', 'GET ')
_CODES = {signal.SIGKILL: (-9,), signal.SIGTERM: (-15, 143), signal.SIGINT: (-2, 130)}


class Outage(NamedTuple):
    """Something that the server does for a while; times in seconds from the start.

    Attributes:
        answer: given to the requests whose method and path hold ``part``; None: the server itself
            is killed, and started again at the end.
    """

    start_s: float
    end_s: float
    answer: Answer | None
    part: str = ''


class Plan(NamedTuple):
    """What happens to a training.

    Attributes:
        kills: after how many seconds, with what signal, and whether to all its processes.
        outages: of the server.
    """

    kills: list[tuple[float, signal.Signals, bool]]
    outages: list[Outage]


def draw_plan(rng: random.Random, duration_s: float, kills: bool, outages: bool) -> Plan:
    """Draw what happens, of a training that takes ``duration_s`` if nothing does."""
    deaths = [
        (rng.uniform(0, 1.1 * duration_s), rng.choice(_SIGNALS), rng.random() < 0.3)
        for _ in range(rng.randint(1, _MAX_KILLS) if kills else 0)
    ]
    absences = []
    for _ in range(rng.randint(1, 3) if outages else 0):
        start_s = rng.uniform(0, duration_s)
        end_s = start_s + rng.choice((0.5, 3.0, 10.0, 60.0))
        stopped = rng.random() < 0.15
        answer = None if stopped else rng.choice(_ANSWERS)
        absences.append(Outage(start_s, end_s, answer, rng.choice(_PARTS)))
    return Plan(deaths, absences)


def train_disturbed(
    subject: Subject,
    nursery: Nursery,
    server: MlflowServer,
    folder: Path,
    rng: random.Random,
    kinds: tuple[bool, bool],
) -> Finding:
    """Carry out one trial; ``kinds`` says whether there are kills, and outages."""
    plan = draw_plan(rng, subject.duration_s, *kinds)
    (folder / 'plan.txt').write_text('\n'.join(map(str, [*plan.kills, *plan.outages])))
    finding = Finding()
    proxy = FaultProxy(server.uri)
    stop = threading.Event()
    weather = threading.Thread(target=_disturb, args=(server, proxy, plan.outages, stop))
    weather.start()
    try:
        _train_to_the_end(subject, nursery, proxy.uri, folder, plan, finding)
    finally:
        stop.set()
        weather.join()
        proxy.fault = lambda method, path: None
        if not server.running:
            server.start()
    replay = nursery.start(folder, 'mlflow_replay', folder / 'work')
    replay.end(60 + 2 * CLOSE_TIMEOUT_S)
    finding.add(faults_of(replay, (0,)))
    proxy.close()
    finding.add(_faults_of_run(subject, server.uri, folder))
    return finding


def training_arguments(subject: Subject, folder: Path, uri: str) -> list[object]:
    """The command line of a training that goes on where there is something to go on from."""
    options = [f'default_hooks.mlflow.experiment={folder.name}']
    return [
        *(subject.config, '--work-dir', folder / 'work', '--mlflow', uri, '--resume'),
        *('--cfg-options', *options),
    ]


def faults_of(program: Program, codes: tuple[int, ...]) -> dict[str, list[str]]:
    """What is wrong with the end of a program, given the exit codes that are right."""
    said = f'{program.log}: exit code {program.code}'
    output = _LOST_INTERRUPT.sub('', program.output)
    return {
        'hung': [f'{program.log}'] if program.hung else [],
        'traceback': [said] if 'Traceback (most recent' in output and not program.hung else [],
        'wrong': [said] if program.code not in codes and not program.hung else [],
    }


def _train_to_the_end(
    subject: Subject, nursery: Nursery, uri: str, folder: Path, plan: Plan, finding: Finding
) -> None:
    arguments = training_arguments(subject, folder, uri)
    limit_s = 5 * subject.duration_s + 2 * CLOSE_TIMEOUT_S + 30
    for after_s, number, to_all in plan.kills:
        program = nursery.start(folder, 'train', *arguments)
        codes: tuple[int, ...] = (0,)
        if not program.wait(after_s):
            program.send(number, to_all)
            codes = (*codes, *_CODES[number])
        program.end(_AFTER_SIGNAL_S)
        finding.add(faults_of(program, codes))
    program = nursery.start(folder, 'train', *arguments)
    program.end(limit_s)
    finding.add(faults_of(program, (0,)))


def _disturb(
    server: MlflowServer, proxy: FaultProxy, outages: list[Outage], stop: threading.Event
) -> None:
    """Be the weather until ``stop``."""
    begin = time.monotonic()

    def now() -> list[Outage]:
        passed_s = time.monotonic() - begin
        return [outage for outage in outages if outage.start_s <= passed_s < outage.end_s]

    proxy.fault = _fault(now)
    while not stop.wait(0.05):
        down = any(outage.answer is None for outage in now())
        if down and server.running:
            server.kill()
        elif not down and not server.running:
            server.start()


def _fault(now: Callable[[], list[Outage]]) -> Fault:
    def fault(method: str, path: str) -> Answer | None:
        for outage in now():
            if outage.answer is not None and outage.part in f'{method} {path}':
                return outage.answer
        return None

    return fault


def _faults_of_run(subject: Subject, uri: str, folder: Path) -> dict[str, list[str]]:
    """Compare the run on the server with the undisturbed one."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    runs = runs_of(client, folder.name)
    if len(runs) != 1:
        return {'lost' if not runs else 'duplicated': [f'{folder}: {len(runs)} runs']}
    (run,) = runs
    faults = compare(curves_of(client, run.info.run_id), subject.curves)
    if run.info.status != 'FINISHED':
        faults['wrong'].append(f'the run is {run.info.status}')
    if run.data.tags.get('mmext.rejected', '0') != '0':
        faults['lost'].append(f'{run.data.tags["mmext.rejected"]} records were refused')
    faults['wrong'] += _faults_of_weights(subject, folder / 'work')
    names = [entry.path for entry in client.list_artifacts(run.info.run_id, 'checkpoints')]
    best = {name for name in names if re.search(r'best_.*\.pth$', name)}
    if not best:
        faults['lost'].append(f'the best checkpoint, there are {names}')
    return faults


def _faults_of_weights(subject: Subject, work: Path) -> list[str]:
    expected = _weights(subject.checkpoint)
    last = work / f'iter_{NUM_ITERS}.pth'
    if not last.is_file():
        return [f'{last} is not there']
    found = _weights(last)
    return [name for name in expected if not torch.equal(found[name], expected[name])][:1]


def _weights(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, map_location='cpu', weights_only=False)['state_dict'])
