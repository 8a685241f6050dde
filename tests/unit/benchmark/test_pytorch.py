from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from onnxproof.benchmark.pytorch import Baseline, baseline
from onnxproof.records import Work
from onnxproof.samples.generate import Feed
from onnxproof.spec import Spec
from tests.helpers.specs import spec_of, work_in

FEED = {"x": np.ones((2, 4), np.float32)}


@contextmanager
def on_cpu(spec: Spec, work: Work) -> Iterator[Baseline]:
    with baseline(spec, work) as found:
        assert found is not None
        yield found


def prepared(found: Baseline, feed: Feed) -> Callable[[], object]:
    (runner,) = found.eager()
    return runner.prepare(feed)


def result_of(call: Callable[[], object]) -> torch.Tensor:
    result = call()
    assert isinstance(result, torch.Tensor)
    return result


def test_a_call_gives_what_the_module_gives(tmp_path: Path) -> None:
    with on_cpu(spec_of(), work_in(tmp_path)) as found:
        first, second = (result_of(prepared(found, FEED)) for _ in range(2))
    assert first.shape == (2, 3)
    assert torch.equal(first, second)


def test_tensors_are_made_before_the_call(tmp_path: Path) -> None:
    feed = {"x": np.ones((2, 4), np.float32)}
    with on_cpu(spec_of(), work_in(tmp_path)) as found:
        call = prepared(found, feed)
        before = result_of(call)
        feed["x"][:] = 7
        after = result_of(call)
    assert torch.equal(before, after)


def test_nothing_is_kept_for_gradients(tmp_path: Path) -> None:
    with on_cpu(spec_of(), work_in(tmp_path)) as found:
        result = result_of(prepared(found, FEED))
    assert result.is_inference()
    assert not torch.is_inference_mode_enabled()


def test_pytorch_has_as_many_threads_as_the_spec_says_and_no_longer(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    asked = before + 1
    spec = spec_of(benchmark={"threads": asked})
    with on_cpu(spec, work_in(tmp_path)):
        assert torch.get_num_threads() == asked
    assert torch.get_num_threads() == before


def test_weights_that_move_are_elsewhere_and_the_same(tmp_path: Path) -> None:
    with on_cpu(spec_of(), work_in(tmp_path)) as found:
        module = found._source.module
        before = {name: parameter.data_ptr() for name, parameter in module.named_parameters()}
        call = prepared(found, FEED)
        expected = result_of(call)
        found.move_weights()
        assert before
        assert all(
            parameter.data_ptr() != before[name] for name, parameter in module.named_parameters()
        )
        assert torch.equal(result_of(call), expected)
