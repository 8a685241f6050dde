"""A workaround is one more try, says the same, and leaves the module as it was."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from onnxproof.check.stage import CheckRequest, check_in_child
from onnxproof.errors import ExportError
from onnxproof.export import workarounds
from onnxproof.export.workarounds import WORKAROUNDS, try_workarounds
from onnxproof.spec import Spec, parse_spec
from tests.helpers.graphs import export, load
from tests.helpers.specs import work_in

MIXTRAL = {
    "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2, "intermediate_size": 8, "num_local_experts": 3,
    "num_experts_per_tok": 2, "max_position_embeddings": 16,
}  # fmt: skip
MAMBA = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "state_size": 2}
T5 = {"vocab_size": 20, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}


def spec_of(model: str, settings: dict[str, Any]) -> Spec:
    return parse_spec(
        {
            "name": "toy",
            "source": {
                "factory": "benchmarks.zoo.text_models:build",
                "kwargs": {"model": model, **settings},
            },
            "inputs": {
                "input_ids": "int64[batch, seq] in 3..19",
                "attention_mask": "int64[batch, seq] mask",
            },
            "dims": {"batch": {"max": 3}, "seq": {"max": 9}},
            "check": {"samples": 1},
        },
    )


class Odd(nn.Module):
    """What a workaround of these tests fits."""


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A workaround that notes when it begins and ends stands in place of the real ones."""
    seen: list[str] = []

    class Noted:
        def __init__(self, module: nn.Module, spec: Spec) -> None:
            pass

        def __enter__(self) -> None:
            seen.append("begins")

        def __exit__(self, *_: object) -> None:
            seen.append("ends")

    workaround = workarounds.Workaround("noted", lambda module: isinstance(module, Odd), Noted)
    monkeypatch.setattr(workarounds, "WORKAROUNDS", (workaround,))
    return seen


SPEC = spec_of("T5EncoderModel", T5)


def test_a_sound_graph_takes_no_workaround(tried: list[str]) -> None:
    assert try_workarounds(lambda: "graph", lambda _: True, Odd(), SPEC) == ("graph", ())
    assert tried == []


def test_a_module_that_no_workaround_fits_is_not_exported_twice(tried: list[str]) -> None:
    graphs = iter(("first",))
    given = try_workarounds(lambda: next(graphs), lambda _: False, nn.Module(), SPEC)
    assert given == ("first", ())


def test_a_graph_that_breaks_the_contract_is_made_again_with_the_workaround_named(
    tried: list[str],
) -> None:
    graphs = iter(("fixed", "dynamic"))
    given = try_workarounds(lambda: next(graphs), lambda graph: graph == "dynamic", Odd(), SPEC)
    assert given == ("dynamic", ("noted",))
    assert tried == ["begins", "ends"]


def test_a_second_try_that_is_no_better_does_not_count(tried: list[str]) -> None:
    graphs = iter(("fixed", "fixed again"))
    assert try_workarounds(lambda: next(graphs), lambda _: False, Odd(), SPEC) == ("fixed", ())


def test_the_reason_of_the_first_try_is_the_one_that_is_told(tried: list[str]) -> None:
    errors = iter((ExportError("first"), ExportError("second")))

    def make() -> str:
        raise next(errors)

    with pytest.raises(ExportError, match="first"):
        try_workarounds(make, lambda _: True, Odd(), SPEC)
    assert tried == ["begins", "ends"]


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_the_recurrence_by_doubling_is_the_recurrence(length: int) -> None:
    torch.manual_seed(0)
    decay, drive = torch.rand(2, 3, length, 4), torch.randn(2, 3, length, 4)
    state, states = torch.zeros(2, 3, 4), []
    for place in range(length):
        state = decay[:, :, place] * state + drive[:, :, place]
        states.append(state)
    found = workarounds._recur(decay, drive, length.bit_length())
    torch.testing.assert_close(found, torch.stack(states, 2))


@pytest.mark.parametrize(
    ("model", "settings", "strategy", "name"),
    [
        ("MambaForCausalLM", MAMBA, "trace", "parallel scan"),
        ("MixtralForCausalLM", MIXTRAL, "trace", "batched experts"),
        ("T5EncoderModel", T5, "dynamo", "eager attention"),
    ],
    ids=["a loop over the sequence", "experts by histc", "views of attention"],
)
def test_what_fails_as_it_is_written_is_proven_with_its_workaround(
    model: str, settings: dict[str, Any], strategy: Any, name: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pytest.importorskip("transformers")
    spec = spec_of(model, settings)
    work = work_in(tmp_path)
    loaded = load(spec, work)
    candidate = export(spec, work, loaded, strategy)
    assert name in candidate.workarounds
    assert check_in_child(CheckRequest(spec, work, loaded, candidate)).proven

    monkeypatch.setattr(workarounds, "WORKAROUNDS", ())
    try:
        bare = export(spec, work, loaded, strategy)
    except ExportError:
        return
    assert not check_in_child(CheckRequest(spec, work, loaded, bare)).proven


def test_a_module_is_as_before_after_a_workaround(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("fake_ssm")
    fake.mamba_selective_scan = before = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_ssm", fake)
    layer = type("Layer", (nn.Module,), {"__module__": "fake_ssm"})()
    scan = next(workaround for workaround in WORKAROUNDS if workaround.name == "parallel scan")
    assert scan.fits(layer)
    with scan.applied(layer, SPEC):
        assert fake.mamba_selective_scan is not before
    assert fake.mamba_selective_scan is before
