from __future__ import annotations

import pytest

from onnxproof.units import in_bytes


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_499, "999 kB"), (10**9, "1 GB")],
)
def test_a_size_has_three_digits_and_a_unit(size: int, text: str) -> None:
    assert in_bytes(size) == text
