"""Every sample of a benchmark, kept for whoever wants to look at more than its summary."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from onnxproof.artifact import Artifact, atomic_write
from onnxproof.benchmark.ratios import Samples
from onnxproof.records import Latency, Work

FILE: Final = "benchmark.parquet"


def write_samples(work: Work, taken: Iterable[tuple[Latency, str, Samples]]) -> Artifact:
    """One row a call: runner, where, dims, part, repetition, round, milliseconds.

    The part is ``loop`` or ``rounds``; calls of a loop are counted as rounds, anew in each
    repetition.
    """
    import pyarrow as pa
    from pyarrow import parquet

    tables = []
    for latency, part, repetitions in taken:
        calls = [
            (repetition, turn)
            for repetition, turns in enumerate(repetitions)
            for turn in range(len(turns))
        ]
        count = len(calls)
        dims = " ".join(f"{name}={size}" for name, size in latency.dims.items())
        tables.append(
            pa.table(
                {
                    "runner": pa.repeat(latency.runner, count),
                    "where": pa.repeat(latency.where, count),
                    "dims": pa.repeat(dims, count),
                    "part": pa.repeat(part, count),
                    "repetition": pa.array([repetition for repetition, _ in calls], pa.int32()),
                    "round": pa.array([turn for _, turn in calls], pa.int32()),
                    "milliseconds": pa.array(itertools.chain(*repetitions), pa.float64()),
                }
            )
        )
    with atomic_write(Path(work.path(FILE))) as draft:
        parquet.write_table(pa.concat_tables(tables), draft, compression="zstd")
    return Artifact.of(work.folder, FILE)
