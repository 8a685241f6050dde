"""The one place that opens ONNX Runtime sessions, and tells the truth about providers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from onnxproof.errors import BenchmarkError
from onnxproof.inputs import Feed

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

CPU = "CPUExecutionProvider"
Optimization = Literal["disabled", "basic", "extended", "all"]
OPTIMIZATIONS: Final[tuple[Optimization, ...]] = ("basic", "extended", "all")
"""Levels of ONNX Runtime's graph optimizations, from the least on; ``all`` is what people use."""


_LEVELS: Final[dict[Optimization, str]] = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


class Session:
    """A model on one execution provider."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.inputs = tuple(each.name for each in session.get_inputs())
        self.outputs = tuple(each.name for each in session.get_outputs())

    def run(self, feed: Feed) -> dict[str, np.ndarray]:
        """Outputs by name; arrays of ``feed`` that the graph does not take are left out."""
        return dict(zip(self.outputs, self.prepare(feed)(), strict=True))

    def kernels_of_a_run(self, feed: Feed) -> dict[str, int]:
        """How often each operator runs, as ONNX Runtime has rewritten the graph.

        The body of a loop counts once for each turn. To be asked first, and once: a profile holds
        all runs since the session was opened with one, and this ends it.
        """
        try:
            self.run(feed)
        finally:
            path = Path(self._session.end_profiling())
            events = json.loads(path.read_text(encoding="utf-8"))
            path.unlink()
        return dict(
            Counter(
                event["args"]["op_name"]
                for event in events
                if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
            )
        )

    def prepare(self, feed: Feed) -> Callable[[], list[np.ndarray]]:
        """A call of the model on ``feed`` with nothing in it but ONNX Runtime's own work."""
        taken = {name: feed[name] for name in self.inputs}
        return partial(self._session.run, list(self.outputs), taken)


def open_session(
    model: Path,
    provider: str = CPU,
    *,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    libraries: Sequence[str] = (),
    optimization: Optimization = "all",
    profile: Path | None = None,
) -> Session:
    """A session on exactly ``provider``.

    Args:
        model: ONNX file; its external data is read from beside it.
        provider: Full name.
        options: The provider's own options.
        threads: Of one operator (intra-op), with one operator at a time; None is the default.
        libraries: Files with operators that ONNX Runtime has not itself.
        optimization: Level of ONNX Runtime's graph optimizations.
        profile: Folder for what ``kernels_of_a_run`` reads; None takes no profile.

    Raises:
        BenchmarkError: ONNX Runtime would have run the model elsewhere.
    """
    import onnxruntime

    if provider not in (available := available_providers()):
        raise BenchmarkError(
            f"asked for {provider}, this ONNX Runtime {onnxruntime.__version__} has "
            f"{', '.join(available)}; install the build that has it, or drop it from "
            "benchmark.providers"
        )
    settings = _settings(threads, libraries, optimization, profile)
    chosen = [(provider, dict(options or {}))]
    session = onnxruntime.InferenceSession(str(model), settings, providers=chosen)
    # ONNX Runtime falls back to the CPU without raising (microsoft/onnxruntime#23372), so ask it.
    if (active := session.get_providers()[0]) != provider:
        raise BenchmarkError(
            f"asked for {provider}, ONNX Runtime chose {active}: a library or a driver of the "
            "provider did not load; see the log"
        )
    # An active provider may still take no node at all, and the CPU then does the work.
    if provider not in (used := _used_providers(session) or {provider}):
        raise BenchmarkError(
            f"asked for {provider}, it takes no node of this graph: all are on "
            f"{', '.join(sorted(used))}"
        )
    return Session(session)


def _settings(
    threads: int | None, libraries: Sequence[str], optimization: Optimization, profile: Path | None
) -> onnxruntime.SessionOptions:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if profile is not None:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(profile / "profile")
    settings.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, _LEVELS[optimization]
    )
    if optimization == "disabled":
        # It computes what is folded otherwise, such as a transposed weight, and the arena takes
        # twice the memory for that.
        settings.enable_cpu_mem_arena = False
    if threads is not None:
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        # Idle threads spin on and take the cores from whoever is timed next: PyTorch on two threads
        # was 1.5 to 40 times slower after a turn of ONNX Runtime (measured 2026-11).
        settings.add_session_config_entry("session.force_spinning_stop", "1")
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for library in libraries:
        settings.register_custom_ops_library(library)
    return settings


def _used_providers(session: onnxruntime.InferenceSession) -> set[str]:
    """Providers that nodes were assigned to; empty where this ONNX Runtime cannot tell."""
    ask = getattr(session, "get_provider_graph_assignment_info", tuple)
    return {part.ep_name for part in ask()}


def available_providers() -> tuple[str, ...]:
    """Full names of the providers that this ONNX Runtime build has."""
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())
