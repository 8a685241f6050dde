from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from onnxproof.benchmark.baseline import eager
from tests.unit.builders import spec_of, work_in

FEED = {"x": np.ones((2, 4), np.float32)}


def test_a_call_gives_what_the_module_gives(tmp_path: Path) -> None:
    with eager(spec_of(), work_in(tmp_path)) as ways:
        first, second = ways["host"](FEED)(), ways["host"](FEED)()
    assert isinstance(first, torch.Tensor)
    assert isinstance(second, torch.Tensor)
    assert first.shape == (2, 3)
    assert torch.equal(first, second)


def test_tensors_are_made_before_the_call(tmp_path: Path) -> None:
    feed = {"x": np.ones((2, 4), np.float32)}
    with eager(spec_of(), work_in(tmp_path)) as ways:
        call = ways["host"](feed)
        before = call()
        feed["x"][:] = 7
        after = call()
    assert isinstance(before, torch.Tensor)
    assert isinstance(after, torch.Tensor)
    assert torch.equal(before, after)


def test_nothing_is_kept_for_gradients(tmp_path: Path) -> None:
    with eager(spec_of(), work_in(tmp_path)) as ways:
        result = ways["host"](FEED)()
    assert isinstance(result, torch.Tensor)
    assert result.is_inference()
    assert not torch.is_inference_mode_enabled()


def test_pytorch_has_as_many_threads_as_the_spec_says_and_no_longer(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    asked = before + 1
    spec = spec_of(benchmark={"threads": asked})
    with eager(spec, work_in(tmp_path)):
        assert torch.get_num_threads() == asked
    assert torch.get_num_threads() == before
