"""Libraries that misbehave while a stage runs; each is entered in the stage's own process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest import mock

import numpy as np
import onnx

from benchmarks.faultlist.edits import change, of_type
from onnxproof.records import Candidate, Verdict, WeightMatch, Work

CHUNK: Final = 50_000_000
MOST_CHUNKS: Final = 60
"""3 GB: beyond every limit here, and no harm to the machine if nobody stops it."""


def segfault(*_: object, **__: object) -> None:
    """What native code does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(*_: object, **__: object) -> None:
    """Far beyond the limit."""
    time.sleep(600)


def eat(*_: object, **__: object) -> None:
    """Take memory, and use it."""
    kept = [bytearray(os.urandom(1)) * CHUNK for _ in range(MOST_CHUNKS)]
    time.sleep(60)
    kept.clear()


def _core(call: Any) -> AbstractContextManager[object]:
    """Replace the native part of onnxsim, which takes and gives bytes."""
    return mock.patch("onnxsim.onnx_simplifier.C.simplify", call)


@contextmanager
def _changing(damage: Any) -> Iterator[None]:
    from onnxsim.onnx_simplifier import C

    real = C.simplify

    def call(*args: object, **kwargs: object) -> bytes:
        model = onnx.load_from_string(real(*args, **kwargs))
        damage(model)
        changed: bytes = model.SerializeToString()
        return changed

    with _core(call):
        yield


def _other_weights(model: onnx.ModelProto) -> None:
    for initializer in model.graph.initializer:
        if initializer.data_type == onnx.TensorProto.FLOAT:
            change(initializer, lambda array: array * np.float32(0.5))


def _cut_off(model: onnx.ModelProto) -> None:
    del model.graph.output[1:]


def _fused_away(model: onnx.ModelProto) -> None:
    """A ReLU behind a convolution is taken for fused, and is not."""
    relu = of_type(model, "Relu")[0]
    taker = next(node for node in model.graph.node if relu.output[0] in node.input)
    taker.input[list(taker.input).index(relu.output[0])] = relu.input[0]
    model.graph.node.remove(relu)


def _example_batch(model: onnx.ModelProto) -> None:
    """The batch is fixed at 1, as ``overwrite_input_shapes`` would."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def simplifier_halves() -> AbstractContextManager[object]:
    """Another model's weights."""
    return _changing(_other_weights)


def simplifier_drops_outputs() -> AbstractContextManager[object]:
    """All but the first output."""
    return _changing(_cut_off)


def simplifier_drops_relu() -> AbstractContextManager[object]:
    """A wrong fusion."""
    return _changing(_fused_away)


def simplifier_fixes_batch() -> AbstractContextManager[object]:
    """A static dim."""
    return _changing(_example_batch)


def simplifier_crashes() -> AbstractContextManager[object]:
    """SIGSEGV in its native part."""
    return _core(segfault)


def simplifier_hangs() -> AbstractContextManager[object]:
    """No end."""
    return _core(hang)


def simplifier_eats() -> AbstractContextManager[object]:
    """No bound."""
    return _core(eat)


def simplifier_sees_no_weights() -> AbstractContextManager[object]:
    """Onnxsim's own behavior on external data that is not loaded: it takes weights for one."""
    return mock.patch(
        "onnxproof.graph.external_data.on_graph_alone", lambda model, change: change(model)
    )


def checker_crashes() -> AbstractContextManager[object]:
    """SIGSEGV in onnx.checker."""
    return mock.patch("onnx.checker.check_model", segfault)


def runtime_hangs() -> AbstractContextManager[object]:
    """A session that answers never."""
    return mock.patch("onnxproof.runtime.Session.run", hang)


def exporter_crashes() -> AbstractContextManager[object]:
    """SIGSEGV in an exporter."""
    return mock.patch("onnxproof.export.exporter.run_exporter", segfault)


def factory_eats() -> AbstractContextManager[object]:
    """A module that takes memory without end when it is built."""
    return mock.patch("onnxproof.source.module.build", eat)


def provider_is_listed() -> AbstractContextManager[object]:
    """A build that lists a provider whose library does not load: ONNX Runtime takes the CPU."""
    listed = ("ROCMExecutionProvider", "CPUExecutionProvider")
    return mock.patch("onnxproof.runtime.session.available_providers", return_value=listed)


def no_weight_match() -> AbstractContextManager[object]:
    """Weights are matched, and whatever comes of it is let through."""
    from onnxproof.check.weights import check_weights

    def lenient(work: Work, candidate: Candidate) -> tuple[Verdict, WeightMatch]:
        verdict, weight_match = check_weights(work, candidate)
        return verdict.model_copy(update={"outcome": "passed"}), weight_match

    return mock.patch("onnxproof.check.weights.check_weights", lenient)
