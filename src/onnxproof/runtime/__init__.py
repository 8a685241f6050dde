"""The one package that opens ONNX Runtime sessions, and tells the truth about providers."""

from onnxproof.runtime.binding import BoundCall
from onnxproof.runtime.providers import (
    CPU,
    Precision,
    available_providers,
    build_of_onnxruntime,
    device_of,
    precision_of,
)
from onnxproof.runtime.session import OPTIMIZATIONS, Optimization, Session, open_session

__all__ = [
    "CPU",
    "OPTIMIZATIONS",
    "BoundCall",
    "Optimization",
    "Precision",
    "Session",
    "available_providers",
    "build_of_onnxruntime",
    "device_of",
    "open_session",
    "precision_of",
]
