"""A call whose inputs and outputs stay on the device: nothing is copied to it or from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onnxproof.samples.generate import Feed

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

    from onnxproof.runtime.provider_availability import Device

NO_CAPTURE: Final = -1


class BoundCall:
    """A run on ``feed``, which is copied to the device once; it ends when the device has ended.

    Outputs are allocated anew by each run, from ONNX Runtime's arena, since their shapes may be
    known to it alone. A run that is captured as a CUDA graph writes to one place always.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        feed: Feed,
        device: Device,
        graph: int | None = None,
    ) -> None:
        """Bind.

        Args:
            session: Of the model.
            feed: Arrays by the names of the graph's inputs, and of no others.
            device: Where they are to lie.
            graph: A number of this call's own, under which its CUDA graph is kept; None where
                the session captures none.
        """
        import onnxruntime

        self._session, self._device, self._graph = session, device, graph
        self._names = [output.name for output in session.get_outputs()]
        self._inputs = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(array, *device)
            for name, array in feed.items()
        }
        self._binding = self._bind()
        if graph is not None:
            self._run(NO_CAPTURE)
            self._binding = self._bind(self._binding.get_outputs())

    def __call__(self) -> None:
        """Run once."""
        self._run(self._graph)

    def outputs(self) -> dict[str, np.ndarray]:
        """Of the last run, copied to the host."""
        return dict(zip(self._names, self._binding.copy_outputs_to_cpu(), strict=True))

    def _bind(self, outputs: list[Any] | None = None) -> Any:
        binding = self._session.io_binding()
        for name, value in self._inputs.items():
            binding.bind_ortvalue_input(name, value)
        for index, name in enumerate(self._names):
            if outputs is None:
                binding.bind_output(name, *self._device)
            else:
                binding.bind_ortvalue_output(name, outputs[index])
        binding.synchronize_inputs()
        return binding

    def _run(self, graph: int | None) -> None:
        import onnxruntime

        options = None
        if graph is not None:
            options = onnxruntime.RunOptions()
            options.add_run_config_entry("gpu_graph_id", str(graph))
        self._session.run_with_iobinding(self._binding, options)
        self._binding.synchronize_outputs()
