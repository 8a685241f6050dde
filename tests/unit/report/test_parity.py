from __future__ import annotations

from onnxproof.records import ClassParity, FillParity
from onnxproof.report.parity import class_table
from tests.helpers import graphs


def test_what_each_class_and_each_fill_was_held_to_is_in_a_table_of_its_own() -> None:
    classes = tuple(
        ClassParity(low=low, elements=64, rms=rms, atol=atol, max_rms_diff=0.01 * rms)
        for low, rms, atol in ((1.0, 2.0, 1e-5), (1024.0, 5e3, 0.5))
    )
    fill = FillParity(value=-1e9, elements=9, atol=64)
    text = class_table([graphs.parity_of(classes=classes, fills=(fill,))])
    assert "| y | 1.02e+03 | 64 | 5e+03 | 0 | 0.5 | 0 | 50 |" in text
    assert "| y | fill -1e+09 | 9 |  | 0 | 64 |  |  |" in text
    assert class_table([graphs.parity_of(classes=classes[:1])]) == ""
