"""What a person can do about a graph that did not come out, or came out wrong."""

from __future__ import annotations

import re
from typing import Final

from onnxproof.export.operators.log import OPERATOR_HINT
from onnxproof.export.strategies import STRATEGIES
from onnxproof.export.torchscript import SCRIPT, TRACE
from onnxproof.records import Candidate, CheckResult, Specialization
from onnxproof.spec import StrategyName

_VALUES: Final = (
    "forward reads the value of a tensor into Python: write a branch as torch.cond and a loop as "
    "torch.while_loop, or take strategy script, which keeps If and Loop"
)
_SIZES: Final = (
    "this line holds for some sizes only: compute with x.shape instead of a number, or declare the "
    "dim as forward needs it (min, max, multiple_of, or min = max to fix it)"
)
_OUTPUTS: Final = "let forward return tensors, in a tuple or a dict"
_CALL: Final = (
    "the exporter calls forward otherwise than Python does: set source.call, or give forward plain "
    "parameters"
)
_AGAINST_ERRORS: Final = (
    (r"data-dependent|[Uu]nbacked|[Dd]ynamic control flow", _VALUES),
    (r"Constraints violated|[Ss]pecializ", _SIZES),
    (r"No ONNX function found|Error when translating", OPERATOR_HINT),
    (r"NotSupportedError|Unknown type|undefined value|TorchScript|no attribute", SCRIPT.error_hint),
    (r"Tracer cannot infer type|can be output from traced", _OUTPUTS),
    (r"TypeError: .*(argument|parameter)", _CALL),
)
"""In this order: what PyTorch's words look like, and what may help."""

_AGAINST_VERDICTS: Final = {
    "structure": "another strategy or export.opset may give a graph that is sound",
    "contract": "name inputs and outputs as forward has them, and declare sizes as it needs them",
    "weights": "the file does not hold the module's numbers: let each build of the module give the "
    "same ones, or take another strategy",
    "session": "another strategy or a lower export.opset may use operators that this ONNX Runtime "
    "has",
    "parity": "another strategy may be right; widen check.tolerance only where a difference of "
    "this size does no harm",
    "edges": "where the model never gets such values, declare a range that leaves them out "
    "(in LOW..HIGH)",
    "parity_unoptimized": "the graph is right only as ONNX Runtime rewrites it, which another "
    "version of it may not do; another strategy may be right as it is",
    "parity_float16": "compute norms and long sums in float32 in forward, and take the strategy "
    "that keeps it so",
    "metric": "another strategy may be closer; gates.max_metric_drop is what is allowed",
}


_AGAINST_STRUCTURE: Final = (
    (r"min_onnxruntime", "lower export.opset, or raise export.min_onnxruntime"),
    (r"training_mode", "forward turns training on by itself: pass training=self.training"),
    (r"float64", "give this computation its dtype in forward, such as torch.float32"),
    (r"more than \d+ times", "register tables as buffers, and compute others from the inputs"),
)


def against_error(strategy: StrategyName, text: str) -> str:
    """What may help against an exporter's error."""
    found = (hint for pattern, hint in _AGAINST_ERRORS if re.search(pattern, text))
    return next(found, STRATEGIES[strategy].error_hint)


def against_refusal(candidate: Candidate, check: CheckResult) -> tuple[str, str]:
    """The line that is most likely at fault when a check fails, and what may help; both or none."""
    failed = next((verdict for verdict in check.verdicts if verdict.outcome == "failed"), None)
    if failed is None:
        return "", ""
    strategy = STRATEGIES[candidate.strategy]
    where = _line_of(candidate.specializations, failed.reason)
    if "baked in" in failed.reason:
        return where, strategy.specialization_hint
    if where and failed.name in ("contract", "parity", "session"):
        # It has the graph of one example: of its size or, where tracing went by a value, of that.
        sized = strategy.specializes_on == "sizes" or "axis" in failed.reason
        return where, _SIZES if sized else TRACE.specialization_hint
    known = _AGAINST_STRUCTURE if failed.name == "structure" else ()
    found = (hint for pattern, hint in known if re.search(pattern, failed.reason))
    return where, next(found, _AGAINST_VERDICTS.get(failed.name, ""))


def _line_of(specializations: tuple[Specialization, ...], reason: str) -> str:
    named = [
        specialization
        for specialization in specializations
        if f"input {specialization.input!r}" in reason
    ]
    # What is no equation leaves more than one size.
    equations = [specialization for specialization in named if "Eq(" in specialization.what]
    return next(
        (specialization.where for specialization in (*equations, *named, *specializations)), ""
    )
