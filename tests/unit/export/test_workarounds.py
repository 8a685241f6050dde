"""A workaround is one more try, says the same, and leaves the module as it was."""

from __future__ import annotations

import sys
import types
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from onnxproof.check.stage import check_in_child
from onnxproof.errors import ExportError
from onnxproof.export import stage, workarounds
from onnxproof.export.workarounds import WORKAROUNDS, Workaround, tries
from onnxproof.progress import Step, listen
from onnxproof.records import Run
from onnxproof.spec import Spec, parse_spec
from tests.helpers.graphs import export, load
from tests.helpers.specs import spec_of as toy_spec
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


NOTED = workarounds.Workaround(
    "noted", lambda module: isinstance(module, Odd), lambda _module, _spec: nullcontext()
)
NEEDED = NOTED._replace(name="needed", at_once=True)


@pytest.mark.parametrize(
    ("known", "module", "names"),
    [
        ((NOTED,), nn.Module(), [[]]),
        ((NOTED,), Odd(), [[], ["noted"]]),
        ((NEEDED,), Odd(), [["needed"]]),
        ((NOTED, NEEDED), Odd(), [["needed"], ["noted", "needed"]]),
    ],
)
def test_all_that_fit_are_tried_after_those_needed_at_once(
    known: tuple[Workaround, ...],
    module: nn.Module,
    names: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workarounds, "WORKAROUNDS", known)
    assert [[entry.name for entry in entries] for entries in tries(module)] == names


SOUND, UNSOUND, BROKEN = "sound", "unsound", "broken"


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        (SOUND, BROKEN, 0),
        (UNSOUND, SOUND, 1),
        (UNSOUND, UNSOUND, 0),
        (UNSOUND, BROKEN, 0),
        (BROKEN, UNSOUND, 1),
        (BROKEN, SOUND, 1),
        (BROKEN, BROKEN, None),
    ],
)
def test_the_second_try_counts_only_where_it_is_better(
    first: str, second: str, taken: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, work = toy_spec(), work_in(tmp_path)
    run = Run(spec, work, load(spec, work))
    real, ends = stage._export_with, iter((first, second))

    def export_with(chosen: list[Workaround], *arguments: Any) -> stage._Made:
        end = next(ends)
        if end == BROKEN:
            raise ExportError(f"{len(chosen)} workarounds")
        names = tuple(entry.name for entry in chosen)
        return real((), *arguments)._replace(sound=end == SOUND, workarounds=names)

    monkeypatch.setattr(stage, "_export_with", export_with)
    monkeypatch.setattr(workarounds, "tries", lambda _module: [[], [NOTED]])
    if taken is None:
        with pytest.raises(ExportError, match=r"^0 workarounds"):
            stage.export_in_child(run, "trace")
    else:
        steps: list[Step] = []
        with listen(steps.append):
            found = stage.export_in_child(run, "trace")
        assert ("again with noted" in [step.text for step in steps]) == (first != SOUND)
        assert found.workarounds == (("noted",) if taken else ())


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
    assert check_in_child(Run(spec, work, loaded), candidate).proven

    monkeypatch.setattr(workarounds, "WORKAROUNDS", ())
    try:
        bare = export(spec, work, loaded, strategy)
    except ExportError:
        return
    assert not check_in_child(Run(spec, work, loaded), bare).proven


def test_a_module_is_as_before_after_a_workaround(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("fake_ssm")
    fake.mamba_selective_scan = before = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_ssm", fake)
    layer = type("Layer", (nn.Module,), {"__module__": "fake_ssm"})()
    scan = next(workaround for workaround in WORKAROUNDS if workaround.name == "parallel scan")
    assert scan.fits(layer)
    with scan.applied(layer, spec_of("T5EncoderModel", T5)):
        assert fake.mamba_selective_scan is not before
    assert fake.mamba_selective_scan is before
