from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples import minilm
from onnxproof.pipeline.direct import DirectStages
from onnxproof.pipeline.plan import make_plan
from onnxproof.pipeline.search import search_candidates
from onnxproof.records import Run
from onnxproof.settings import read_settings

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_proven_file_has_the_neighbors_of_pytorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ONNXPROOF_HOME", str(tmp_path))
    minilm.write_weights()
    plan = make_plan("minilm", ["benchmark.samples=2"], read_settings(), local_code=True)
    with plan.working() as work:
        stages = DirectStages()
        loaded = stages.load(plan.spec, work)
        run = Run(plan.spec, work, loaded)
        proof = stages.conclude(run, plan.key_of(loaded), search_candidates(run, stages))
    assert proof.loaded.parameters == 22_565_376
    model = work.path("model.onnx")
    feed = minilm.tokenize()
    difference = minilm.embed_with_onnx(model, feed) - minilm.embed_with_pytorch(feed)
    assert np.abs(difference).max() < 1e-5
    assert minilm.main(["neighbors", model]) == 0
    assert "same nearest neighbor for 20 of 20" in capsys.readouterr().out
