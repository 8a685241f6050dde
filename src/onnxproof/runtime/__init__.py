"""ONNX Runtime: sessions, bindings, profiles, and what each execution provider really did.

The one package that opens sessions. What a result means is decided elsewhere. Imports ``graph``,
``samples`` and below, and onnxruntime.
"""

from onnxproof.runtime.binding import BoundCall
from onnxproof.runtime.profiling import Kernel, convolution_weights, flops, kernels_by_run
from onnxproof.runtime.provider_availability import (
    Device,
    Precision,
    available_providers,
    build_of_onnxruntime,
    device_of,
    precision_of,
)
from onnxproof.runtime.session import OPTIMIZATIONS, Optimization, Profiling, Session, open_session

__all__ = [
    "OPTIMIZATIONS",
    "BoundCall",
    "Device",
    "Kernel",
    "Optimization",
    "Precision",
    "Profiling",
    "Session",
    "available_providers",
    "build_of_onnxruntime",
    "convolution_weights",
    "device_of",
    "flops",
    "kernels_by_run",
    "open_session",
    "precision_of",
]
