"""The one package that opens ONNX Runtime sessions, and tells the truth about providers."""

from onnxproof.runtime.session import (
    CPU,
    OPTIMIZATIONS,
    Optimization,
    Session,
    available_providers,
    open_session,
)

__all__ = ["CPU", "OPTIMIZATIONS", "Optimization", "Session", "available_providers", "open_session"]
