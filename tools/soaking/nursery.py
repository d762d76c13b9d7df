"""A process with everything imported, that forks the programs: they start in a tenth of a second.

Run as a script; it reads one JSON request a line and answers one line. ``{"argv": [tool, ...],
"folder": F, "log": L}`` starts a program, which goes on as if Python had started it, in a session
of its own; the answer is its process id. ``{"look": PID}`` answers null while it runs, then its
exit code as :mod:`subprocess` has it.
"""

import faulthandler
import json
import os
import runpy
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def import_everything() -> None:
    """Import what the programs need; nothing that starts a thread."""
    import mlflow  # noqa: F401
    import torch

    from mmext.host import import_mmdet

    torch.set_num_threads(1)
    import_mmdet()
    import mmdet.apis  # noqa: F401
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    if threading.active_count() > 1:
        raise RuntimeError(f'a fork would lose threads: {threading.enumerate()}')


def serve() -> dict[str, Any] | None:
    """Answer requests; in a forked child return its request, at the end of the input None."""
    for line in sys.stdin:
        request = json.loads(line)
        if 'look' in request:
            pid, status = os.waitpid(request['look'], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                return dict(request)
        print(json.dumps(answer), flush=True)
    return None


def become(request: dict[str, Any]) -> None:
    """Be the program that a request asks for; does not return."""
    os.setsid()
    os.chdir(request['folder'])
    log = os.open(request['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, stream in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
    faulthandler.enable()  # SIGABRT shows where a program hangs
    sys.argv = request['argv']
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name='__main__')


if __name__ == '__main__':
    import_everything()
    print('ready', flush=True)
    wanted = serve()
    if wanted is not None:
        become(wanted)
