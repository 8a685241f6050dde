"""Every sample of a benchmark, kept for whoever wants to look at more than its summary."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from onnxproof.artifact import Artifact, atomic_write
from onnxproof.records import Latency, Work

FILE: Final = "benchmark.parquet"


def write_samples(
    work: Work, taken: Iterable[tuple[Latency, Sequence[Sequence[float]]]]
) -> Artifact:
    """One row a call: contender, where, dims, sitting, round, milliseconds.

    Rounds are counted in each sitting anew.
    """
    import pyarrow as pa
    from pyarrow import parquet

    tables = []
    for latency, sittings in taken:
        places = [
            (sitting, turn) for sitting, each in enumerate(sittings) for turn in range(len(each))
        ]
        count = len(places)
        dims = " ".join(f"{name}={size}" for name, size in latency.dims.items())
        tables.append(
            pa.table(
                {
                    "contender": pa.array([latency.contender] * count, pa.string()),
                    "where": pa.array([latency.where] * count, pa.string()),
                    "dims": pa.array([dims] * count, pa.string()),
                    "sitting": pa.array([sitting for sitting, _ in places], pa.int32()),
                    "round": pa.array([turn for _, turn in places], pa.int32()),
                    "milliseconds": pa.array(itertools.chain(*sittings), pa.float64()),
                }
            )
        )
    with atomic_write(Path(work.path(FILE))) as draft:
        parquet.write_table(pa.concat_tables(tables), draft, compression="zstd")
    return Artifact.of(work.folder, FILE)
