"""Open a session on exactly the provider that was asked for, and run it."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from onnxproof.errors import BenchmarkError
from onnxproof.records import Binding, Placement
from onnxproof.runtime.binding import BoundCall
from onnxproof.runtime.placement import cpu_share_of_time, placement_of, used_providers
from onnxproof.runtime.profiling import is_kernel
from onnxproof.runtime.provider_availability import (
    available_providers,
    captures_graphs,
    device_of,
    plugin_devices,
    preload_libraries,
    register_plugin,
    why_no_device,
    why_not_built,
    why_not_started,
)
from onnxproof.samples.generate import Feed
from onnxproof.spec import CPU

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

Optimization = Literal["disabled", "basic", "extended", "all"]
OPTIMIZATIONS: Final[tuple[Optimization, ...]] = ("basic", "extended", "all")
"""Levels of ONNX Runtime's graph optimizations, from the least on; ``all`` is what people use."""


_LEVELS: Final[dict[Optimization, str]] = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


CALLS_TO_REPLAY: Final = 2
"""The first run of a call that is captured records the CUDA graph, the second replays it."""

_WEIGHTS_BESIDE: Final = {
    "session.optimized_model_external_initializers_file_name": "weights.bin",
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
}
"""So that nobody has to parse them to see the graph; a file of more than 2 GB could not be."""


class Profiling(NamedTuple):
    """What ONNX Runtime is to write while it runs."""

    folder: Path  # for its events, until they are read
    rewritten: Path | None = None  # file for the graph as it runs it; weights lie beside it


class Session:
    """A model on one execution provider."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        provider: str = CPU,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._session = session
        self.provider = provider
        self.device = device_of(provider, options or {})
        self.captures_graphs = captures_graphs(provider, options or {})
        self._graphs = itertools.count(1)
        self.inputs = tuple(session_input.name for session_input in session.get_inputs())
        self.outputs = tuple(output.name for output in session.get_outputs())

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """How a call can be bound: to the host's arrays, to the device's, or both."""
        if self.captures_graphs:
            return ("device",)
        return ("host",) if self.device.kind == "cpu" else ("host", "device")

    def run(self, feed: Feed) -> dict[str, np.ndarray]:
        """Outputs by name; arrays of ``feed`` that the graph does not take are left out.

        Where runs are captured as a CUDA graph, those of the captured one.
        """
        if not self.captures_graphs:
            return dict(zip(self.outputs, self.prepare(feed)(), strict=True))
        call = self.bind(feed)
        for _ in range(CALLS_TO_REPLAY):
            call()
        return call.outputs()

    def kernels_of_a_run(self, feed: Feed) -> dict[str, int]:
        """How often each operator runs, as ONNX Runtime has rewritten the graph.

        The body of a loop counts once for each turn. To be asked first, and once: a profile holds
        all runs since the session was opened with one, and this ends it.
        """
        return dict(
            Counter(event["args"]["op_name"] for event in self._events_of(feed) if is_kernel(event))
        )

    def prepare(self, feed: Feed) -> Callable[[], list[np.ndarray]]:
        """A call of the model on ``feed`` with nothing in it but ONNX Runtime's own work.

        Arrays are the host's, so what a device needs to copy is part of the call.
        """
        return partial(self._session.run, list(self.outputs), self._taken(feed))

    def bind(self, feed: Feed) -> BoundCall:
        """A call of the model with inputs and outputs that are on the provider's device."""
        graph = next(self._graphs) if self.captures_graphs else None
        return BoundCall(self._session, self._taken(feed), self.device, graph)

    def placement(self, feed: Feed | None = None) -> Placement | None:
        """Where ONNX Runtime put each node; None where this version cannot tell.

        Args:
            feed: For the share of time on the CPU, which takes one run of a session that was
                opened with ``profile``; to be asked once, as ``kernels_of_a_run``.
        """
        placement = placement_of(self.provider, self._session)
        if placement is None or feed is None:
            return placement
        return placement.model_copy(update={"cpu_time": cpu_share_of_time(self._events_of(feed))})

    def _taken(self, feed: Feed) -> Feed:
        return {name: feed[name] for name in self.inputs}

    def end_profile(self) -> list[dict[str, Any]]:
        """ONNX Runtime's events of all runs since the session was opened with ``profile``."""
        path = Path(self._session.end_profiling())
        events: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        return events

    def _events_of(self, feed: Feed) -> list[dict[str, Any]]:
        try:
            self.run(feed)
        finally:
            events = self.end_profile()
        return events


def open_session(
    model: Path,
    provider: str = CPU,
    *,
    options: Mapping[str, str] | None = None,
    plugin: str | None = None,
    threads: int | None = None,
    libraries: Sequence[str] = (),
    optimization: Optimization = "all",
    profile: Profiling | None = None,
) -> Session:
    """A session on exactly ``provider``.

    Args:
        model: ONNX file; its external data is read from beside it.
        provider: Full name.
        options: The provider's own options.
        plugin: The library that has the provider, where ONNX Runtime has it not itself.
        threads: Of one operator (intra-op), with one operator at a time; None is the default.
        libraries: Files with operators that ONNX Runtime has not itself.
        optimization: Level of ONNX Runtime's graph optimizations.
        profile: Where what ``kernels_of_a_run`` reads goes; None takes no profile.

    Raises:
        BenchmarkError: ONNX Runtime would have run the model elsewhere.
    """
    import onnxruntime

    devices = []
    if plugin is not None:
        register_plugin(plugin)
        devices = plugin_devices(provider)
        if not devices:
            raise BenchmarkError(why_no_device(provider, plugin))
    elif provider not in available_providers():
        raise BenchmarkError(why_not_built(provider))
    preload_libraries(provider)
    settings = _settings(threads, libraries, optimization, profile)
    chosen: list[tuple[str, dict[str, str]]] | None = [(provider, dict(options or {}))]
    if devices:
        settings.add_provider_for_devices(devices[:1], dict(options or {}))
        chosen = None
    session = onnxruntime.InferenceSession(str(model), settings, providers=chosen)
    # ONNX Runtime falls back to the CPU without raising (microsoft/onnxruntime#23372), so ask it.
    if (active := session.get_providers()[0]) != provider:
        raise BenchmarkError(why_not_started(provider, active))
    # An active provider may still take no node at all, and the CPU then does the work.
    if provider not in (used := used_providers(session) or {provider}):
        raise BenchmarkError(
            f"asked for {provider}, it takes no node of this graph: all are on "
            f"{', '.join(sorted(used))}"
        )
    return Session(session, provider, options)


def _settings(
    threads: int | None,
    libraries: Sequence[str],
    optimization: Optimization,
    profile: Profiling | None,
) -> onnxruntime.SessionOptions:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if profile is not None:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(profile.folder / "profile")
        if profile.rewritten is not None:
            settings.optimized_model_filepath = str(profile.rewritten)
            for key, value in _WEIGHTS_BESIDE.items():
                settings.add_session_config_entry(key, value)
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
    settings.add_session_config_entry("session.set_denormal_as_zero", "0")  # as PyTorch
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for library in libraries:
        settings.register_custom_ops_library(library)
    return settings
