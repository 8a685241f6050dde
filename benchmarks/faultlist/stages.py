"""Faults of programs and modules: what crashes, hangs, eats memory or is another model."""

from __future__ import annotations

from typing import Final

from benchmarks.faultlist import breakage
from benchmarks.faultlist.fault import Fault
from onnxproof.spec import Limits

SHORT: Final = Limits(seconds=6, memory_gb=3)
SMALL: Final = Limits(seconds=60, memory_gb=1.5)
USUAL: Final = Limits(seconds=60, memory_gb=3)

PROGRAMS: Final = (
    Fault("simplifier: another model", "every weight is halved", "digits", "weights",
          stage="simplify", broken=breakage.simplifier_halves, quick=True),
    Fault("simplifier: wrong fusion", "a ReLU is gone", "digits", "parity", stage="simplify",
          broken=breakage.simplifier_drops_relu),
    Fault("simplifier: outputs dropped", "two of three are gone", "text", "contract",
          stage="simplify", broken=breakage.simplifier_drops_outputs),
    Fault("simplifier: static dim", "the batch is fixed at 1", "digits", "contract",
          stage="simplify", broken=breakage.simplifier_fixes_batch),
    Fault("simplifier: weights not loaded", "onnxsim itself, given a graph without its data",
          "text_outside", "weights", stage="simplify",
          broken=breakage.simplifier_sees_no_weights),
    Fault("simplifier: crash", "SIGSEGV", "digits", "crash", stage="simplify",
          broken=breakage.simplifier_crashes, limits=USUAL, quick=True),
    Fault("simplifier: hang", "limits.seconds is 6", "digits", "timeout", stage="simplify",
          broken=breakage.simplifier_hangs, limits=SHORT),
    Fault("simplifier: memory bomb", "limits.memory_gb is 1.5", "digits", "out_of_memory",
          stage="simplify", broken=breakage.simplifier_eats, limits=SMALL),
    Fault("checker: crash", "SIGSEGV in onnx.checker", "digits", "crash",
          broken=breakage.checker_crashes, limits=USUAL, quick=True),
    Fault("runtime: hang", "ONNX Runtime never answers", "digits", "timeout",
          broken=breakage.runtime_hangs, limits=SHORT, quick=True),
    Fault("exporter: crash", "SIGSEGV in TorchScript's exporter", "digits", "crash",
          stage="export", broken=breakage.exporter_crashes, limits=USUAL),
    Fault("provider fallback", "ONNX Runtime lists a provider and takes the CPU",
          "digits_elsewhere", "error", stage="benchmark", broken=breakage.provider_is_listed,
          quick=True),
)  # fmt: skip

MODULES: Final = (
    Fault("module: dropout always on", "F.dropout without training=self.training", "drops",
          "refused", stage="load", quick=True),
    Fault("module: NaN", "PyTorch itself gives NaN", "nan", "refused", stage="load", quick=True),
    Fault("module: another rank at batch 1", "squeeze() without an axis", "squeezes", "refused",
          stage="load"),
    Fault("module: hang", "the factory never returns; limits.seconds is 6", "hangs", "timeout",
          stage="load", limits=SHORT),
    Fault("module: memory bomb", "the factory takes memory without end", "digits",
          "out_of_memory", stage="load", broken=breakage.factory_eats, limits=SMALL, quick=True),
    Fault("module: another file", "the weights' file is not the one of weights.sha256",
          "another_file", "bad input", stage="load", quick=True),
    Fault("module: weights of another model", "the file has other shapes", "another_model",
          "bad input", stage="load"),
    Fault("module: unseeded", "other weights at each build", "unseeded", "weights", quick=True),
    Fault("module: traced branch", "tracing keeps one side of an if", "branches", "parity",
          quick=True),
    Fault("module: traced row count", "tracing keeps the example's batch", "counts", "parity"),
    Fault("module: traced steps", "tracing takes a number for a constant", "steps", "contract"),
)  # fmt: skip
