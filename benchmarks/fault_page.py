"""docs/faults.md, from the measured rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from benchmarks.fault_rows import Row
from benchmarks.faultlist import CONTROLS, FAULTS, GROUPS, Fault
from benchmarks.json_lines import version_lines

PEERS: Final = ("verify=True", "onnxsim", "allclose")
HEAD: Final = """# Faults

Does the proof refuse what is wrong? Each row is a fault that was put into a real export of a small
model: a CNN with batch norm, a causal transformer with padding, a GRU, a recommender with an
embedding bag, a float16 model, a loop. The stages are onnxproof's own, each in its child; the same
damaged files are shown to the tools that people use instead.
`python -m benchmarks.faults` judges every fault that has no line in
[faults.jsonl](faults.jsonl) yet, `--again --only NAME` one anew, `--render` writes this page. A
third of them runs in the tests (`tests/benchmarks/test_faults.py`).

- **verify=True**: the comparison of `torch.onnx.export(verify=True)`,
  `torch.onnx._internal.exporter._verification`, on the example input, with its own limits: an
  absolute difference of 5e-3, or a relative one of 0.1 ("the threshold is arbitrary right now",
  says its source). What counts as caught is a warning: the file is written all the same.
- **onnxsim**: `onnxsim.simplify(check_n=3)` on the damaged graph with the example input. It
  compares its output with its input, so it can see its own faults; "caught" is `ok=False`.
- **allclose**: `np.testing.assert_allclose(rtol=1e-5, atol=1e-5)` on the example input, outputs in
  order.
- **-**: the fault cannot concern the tool. An exception or a crash is "caught" for all; what
  never ends, or takes all memory, is "missed".
- Seconds are wall clock from the fault to the refusal, in children, on a shared machine.
"""
LIMITS: Final = """## What decides

[Parity](tolerance.md) answers for effects above the budget, which is 20 times PyTorch's own noise;
the verdict `weights` for every initializer of 1 KiB and more, whatever its effect: `last bit` is
one bit. The column *without weights* says what catches the fault when that verdict is left out;
`nothing` means that no sample shows it. A fault below both, such as another epsilon that changes
nothing in float32, or one bit of a bias below 1 KiB, changes no answer beyond the noise, and nobody
catches it. The faults here are above.

A proof is about the providers that it ran on. ONNX Runtime's CPU provider has no float16 kernels:
it computes in float32 between casts that it takes out again, also with optimizations disabled. So a
float16 value that is infinite on a GPU is right on a CPU (`float16 overflow on a GPU`; on an H200
it is wrong at the levels disabled and basic, and a fusion rescues it beyond). Such graphs are run
once more with every float16 result beyond 65504 made infinite (`parity_float16`); allclose
refuses that model without a fault, too.
"""


def render(rows: Mapping[str, Row]) -> str:
    """The page; faults without a row are named as not judged."""
    judged = [fault for fault in FAULTS if fault.name in rows]
    controls = [rows[control.name] for control in CONTROLS if control.name in rows]
    parts = [
        HEAD,
        *_summary(judged, rows, controls),
        *_not_judged(rows),
        *_verdicts(judged, rows),
        LIMITS,
        *(line for name, group in GROUPS.items() for line in _group(name, group, rows)),
        *_controls(controls),
        *version_lines([*controls, *(rows[fault.name] for fault in judged)], "rows"),
    ]
    return "\n".join(parts) + "\n"


def _summary(
    judged: Sequence[Fault], rows: Mapping[str, Row], controls: Sequence[Row]
) -> Iterable[str]:
    total, ours = len(judged), sum(rows[fault.name].caught for fault in judged)
    refused = sum(row.caught for row in controls)
    yield f"## {ours} of {total} faults are caught\n"
    yield "| who | caught | of those that concern it | refuses an export without a fault |"
    yield "|---|---|---|---|"
    yield f"| onnxproof | {ours} of {total} | {ours} of {total} | {refused} of {len(controls)} |"
    for peer in PEERS:
        says = Counter(_says(rows[fault.name], peer) for fault in judged)
        concerned = says["caught"] + says["missed"]
        false = sum(_says(row, peer) == "caught" for row in controls)
        yield (
            f"| {peer} | {says['caught']} of {total} | {says['caught']} of {concerned} | "
            f"{false} of {len(controls)} |"
        )
    yield ""


def _says(row: Row, peer: str) -> str:
    return row.peers[peer].says if peer in row.peers else "-"


def _not_judged(rows: Mapping[str, Row]) -> Iterable[str]:
    if missing := [fault.name for fault in FAULTS if fault.name not in rows]:
        yield f"Not judged yet, {len(missing)} of {len(FAULTS)}: {', '.join(missing)}.\n"


def _verdicts(judged: Sequence[Fault], rows: Mapping[str, Row]) -> Iterable[str]:
    found = [rows[fault.name] for fault in judged]
    counts = Counter(row.verdict or "nothing" for row in found)
    message = ", ".join(f"{verdict} {count}" for verdict, count in counts.most_common())
    times = sorted(row.seconds for row in found)
    yield f"By verdict, or by the end of a stage: {message}."
    if times:
        yield f"Half of them took less than {times[len(times) // 2]:.1f} s."
    yield ""


def _group(name: str, faults: Sequence[Fault], rows: Mapping[str, Row]) -> Iterable[str]:
    yield f"## {name[0].upper()}{name[1:]}\n"
    yield f"| fault | export | caught by | without weights | s | {' | '.join(PEERS)} |"
    yield f"|---|---|---|---|---|{'---|' * len(PEERS)}"
    for fault in faults:
        if row := rows.get(fault.name):
            caught = f"`{row.verdict}` ({row.stage})" if row.caught else "**nothing**"
            weight_match = row.verdict == "weights"
            without = f"`{row.without_weights}`" if row.without_weights else "nothing"
            peers = " | ".join(_says(row, peer) for peer in PEERS)
            yield (
                f"| **{fault.name}**: {fault.what} | {fault.subject}, {fault.strategy} | "
                f"{caught} | {without if weight_match else ''} | {row.seconds:.1f} | {peers} |"
            )
    yield ""


def _controls(controls: Sequence[Row]) -> Iterable[str]:
    yield "## Exports without a fault\n"
    yield f"| export | onnxproof | {' | '.join(PEERS)} |"
    yield f"|---|---|{'---|' * len(PEERS)}"
    for row in controls:
        ours = f"**refused** by {row.verdict}" if row.caught else "proven"
        peers = " | ".join(
            {"caught": "**refused**", "missed": "passed"}.get(_says(row, peer), "-")
            for peer in PEERS
        )
        yield f"| {row.fault.removeprefix('no fault: ')} | {ours} | {peers} |"
    yield ""
