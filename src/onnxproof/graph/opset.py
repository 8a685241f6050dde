"""Which opset and IR version a version of ONNX Runtime loads."""

from __future__ import annotations

from typing import Final

from onnxproof.errors import SpecError

_SUPPORT: Final = {
    (1, 14): (18, 8),
    (1, 15): (19, 9),
    (1, 17): (20, 9),
    (1, 18): (21, 10),
    (1, 21): (22, 10),
    (1, 23): (23, 11),
    (1, 24): (25, 13),
    (1, 25): (26, 13),
    (1, 32): (28, 14),
}
"""Newest opset and IR version by minor version, from the first release that has them.

Tried: a graph of one Relu at every opset and IR version, loaded in 1.15.1, 1.16.3, 1.17.3, 1.18.1,
1.19.2, 1.20.1, 1.21.1, 1.22.1, 1.23.2, 1.24.4, 1.25.0, 1.26.0, 1.27.0, 1.29.0, 1.31.1 and 1.32.0.
1.14 has no wheel for Python 3.11; its row is that of "ONNX opset support" on
onnxruntime.ai/docs/reference/compatibility.html.
"""


def newest_in(min_onnxruntime: str) -> tuple[int, int]:
    """The newest opset and IR version that this ONNX Runtime loads.

    Raises:
        SpecError: It is older than PyTorch's exporters build for.
    """
    wanted = tuple(int(part) for part in min_onnxruntime.split("."))
    known = [version for version in _SUPPORT if version <= wanted]
    if not known:
        oldest = ".".join(map(str, min(_SUPPORT)))
        raise SpecError(
            f"export.min_onnxruntime {min_onnxruntime} is below {oldest}, the oldest whose "
            "opsets PyTorch's exporters build; raise it"
        )
    return _SUPPORT[max(known)]
