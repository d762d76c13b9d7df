"""What MLflow draws while a server does not answer is not drawn from the training's generator."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from soaking.fault_proxy import Answer

from mmext.hooks.mlflow_logging.delivery.answers import Outage
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool


def test_an_outage_leaves_the_generator_of_the_training(
    proxy: Any, header: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('MLFLOW_HTTP_REQUEST_MAX_RETRIES', '2')
    monkeypatch.setenv('MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR', '0')
    asked = []

    def fault(method: str, path: str) -> Answer:
        asked.append(path)
        return Answer(502, '', 0.0)

    proxy.fault = fault
    spool = Spool(tmp_path / 'mlflow_spool' / 'a.jsonl')
    spool.claim()
    spool.append([header(proxy.uri, name=tmp_path.name)])
    random.seed(7)
    state = random.getstate()
    with pytest.raises(Outage):
        Shipper(spool).ship()
    assert len(asked) > 1  # it was tried again, after a wait of random length
    assert random.getstate() == state
