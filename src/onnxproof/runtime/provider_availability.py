"""Execution providers: which are here, what they compute in, and why one did not start."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from onnxproof.errors import BenchmarkError, one_line

CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
OPENVINO: Final = "OpenVINOExecutionProvider"

PACKAGES: Final = {
    CUDA: "onnxruntime-gpu",
    TENSORRT: "onnxruntime-gpu",
    OPENVINO: "onnxruntime-openvino",
    "DmlExecutionProvider": "onnxruntime-directml",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx",
    "QNNExecutionProvider": "onnxruntime-qnn",
}
"""Distributions whose ONNX Runtime has the provider; each takes the place of onnxruntime."""
LIBRARIES: Final = {
    CUDA: "libonnxruntime_providers_cuda.so",
    TENSORRT: "libonnxruntime_providers_tensorrt.so",
    OPENVINO: "libonnxruntime_providers_openvino.so",
}
DRIVER: Final = "libcuda.so.1"
ON_CUDA: Final = frozenset({CUDA, TENSORRT})

_registered: set[str] = set()

Precision = Literal["float32", "tf32", "float16", "bfloat16"]
"""What a provider may round the operands of matrix products and convolutions to."""


OPENVINO_PRECISIONS: Final[dict[str, Precision]] = {
    "f32": "float32",
    "fp32": "float32",
    "accuracy": "float32",
    "f16": "float16",
    "fp16": "float16",
}
PRECISION_HINT: Final = re.compile(r'"INFERENCE_PRECISION_HINT"\s*:\s*"(\w+)"')


class Device(NamedTuple):
    """Where a provider's tensors are, in ONNX Runtime's words."""

    kind: str  # "cpu" or "cuda"
    number: int = 0


def available_providers() -> tuple[str, ...]:
    """Full names of the providers that this ONNX Runtime build has."""
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())


def register_plugin(library: str) -> None:
    """Make the providers of a library available in this process.

    Raises:
        BenchmarkError: ONNX Runtime does not take the library, or knows no plug-ins yet.
    """
    import onnxruntime

    register = getattr(onnxruntime, "register_execution_provider_library", None)
    if register is None:  # newer than 1.20
        raise BenchmarkError(
            f"asked for the provider of {library}, this ONNX Runtime {onnxruntime.__version__} "
            "takes no plug-ins; install 1.23 or newer"
        )
    if library in _registered:  # a second time is an error
        return
    try:
        register(Path(library).stem, library)
    except Exception as error:  # ONNX Runtime's classes have no common base
        raise BenchmarkError(
            f"asked for the provider of {library}, ONNX Runtime does not take it: "
            f"{one_line(error, 300)}"
        ) from error
    _registered.add(library)


def plugin_devices(provider: str) -> list[Any]:
    """ONNX Runtime's handles of the devices that a plug-in offers under this name."""
    import onnxruntime

    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == provider]


def why_no_device(provider: str, library: str) -> str:
    """What to say of a provider whose plug-in was loaded and has nothing to run on here."""
    return (
        f"asked for {provider}, {Path(library).name} was loaded and offers no device of that name "
        "on this machine: a plug-in takes its own vendor's hardware alone, as OpenVINO's takes "
        "Intel's processors; run it there, or drop it from benchmark.providers"
    )


def build_of_onnxruntime() -> str:
    """Version, and what it says of how it was built."""
    import onnxruntime

    build = getattr(onnxruntime, "get_build_info", str)()  # newer than 1.20
    return f"{onnxruntime.__version__} {build}".strip()


def device_of(provider: str, options: Mapping[str, str]) -> Device:
    """Where inputs and outputs lie when nothing is to be copied."""
    if provider in ON_CUDA:
        return Device("cuda", int(options.get("device_id", "0")))
    return Device("cpu")


def precision_of(provider: str, options: Mapping[str, str]) -> Precision:
    """The least precision that the provider's options, or its own defaults, allow for float32.

    CUDA's provider computes in TF32 unless ``use_tf32`` is 0, TensorRT's builder has TF32 on, and
    OpenVINO takes bfloat16 where the processor has it, unless it is told not to.
    """
    if provider == CUDA:
        return "float32" if options.get("use_tf32") == "0" else "tf32"
    if provider == TENSORRT:
        if _on(options, "trt_fp16_enable"):
            return "float16"
        return "bfloat16" if _on(options, "trt_bf16_enable") else "tf32"
    if provider == OPENVINO:
        asked = PRECISION_HINT.search(options.get("load_config", ""))
        named = asked[1] if asked else options.get("precision", "")
        return OPENVINO_PRECISIONS.get(named.lower(), "bfloat16")
    return "float32"


def captures_graphs(provider: str, options: Mapping[str, str]) -> bool:
    """Whether runs are captured as a CUDA graph, which needs inputs and outputs that stay put."""
    captures = "enable_cuda_graph" if provider == CUDA else "trt_cuda_graph_enable"
    return provider in ON_CUDA and _on(options, captures)


def preload_libraries(provider: str) -> None:
    """Load CUDA's and cuDNN's libraries from their Python packages, where there are some."""
    import onnxruntime

    preload = getattr(onnxruntime, "preload_dlls", None)  # newer than 1.20
    if provider in ON_CUDA and preload is not None:
        preload()


def why_not_built(provider: str) -> str:
    """What to say of a provider that this ONNX Runtime build does not have."""
    import onnxruntime

    package = PACKAGES.get(provider)
    build = (
        f"install {package} in place of onnxruntime" if package else "install the build that has it"
    )
    return (
        f"asked for {provider}, this ONNX Runtime {onnxruntime.__version__} has "
        f"{', '.join(available_providers())}; {build}, or drop it from benchmark.providers"
    )


def why_not_started(provider: str, active: str) -> str:
    """What to say of a provider that this build has, and that ONNX Runtime passed over.

    It says so in its log alone, so what it loads is loaded once more here.
    """
    found = "; ".join(_unloadable(provider)) or "no library is missing; see the log"
    return f"asked for {provider}, ONNX Runtime chose {active}: {found}"


def _unloadable(provider: str) -> Iterator[str]:
    import onnxruntime

    if library := LIBRARIES.get(provider):
        path = Path(onnxruntime.__file__).parent / "capi" / library
        if error := _error_of_loading(str(path)):
            yield f"{library} does not load ({error})"
    if provider in ON_CUDA and (error := _error_of_loading(DRIVER)):
        yield f"there is no NVIDIA driver ({error})"


def _error_of_loading(library: str) -> str:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        # A symbol of ONNX Runtime itself is found only when it loads the library.
        return "" if "undefined symbol" in str(error) else str(error)
    return ""


def _on(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "0").lower() in {"1", "true"}
