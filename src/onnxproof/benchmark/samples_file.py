"""Every sample of a benchmark, kept for whoever wants to look at more than its summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from onnxproof.artifact import Artifact, atomic_write
from onnxproof.records import Latency, Work

FILE: Final = "benchmark.parquet"


def write_samples(work: Work, taken: Iterable[tuple[Latency, Sequence[float]]]) -> Artifact:
    """Columns ``contender``, ``where``, ``dims``, ``round`` and ``milliseconds``, a row a call."""
    import pyarrow as pa
    from pyarrow import parquet

    tables = []
    for latency, samples_ms in taken:
        count = len(samples_ms)
        dims = " ".join(f"{name}={size}" for name, size in latency.dims.items())
        tables.append(
            pa.table(
                {
                    "contender": pa.array([latency.contender] * count, pa.string()),
                    "where": pa.array([latency.where] * count, pa.string()),
                    "dims": pa.array([dims] * count, pa.string()),
                    "round": pa.array(range(count), pa.int32()),
                    "milliseconds": pa.array(samples_ms, pa.float64()),
                }
            )
        )
    with atomic_write(Path(work.path(FILE))) as draft:
        parquet.write_table(pa.concat_tables(tables), draft, compression="zstd")
    return Artifact.of(work.folder, FILE)
