from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from onnxproof.samples.generate import Feed, draw
from onnxproof.spec.inputs import InputSpec

SIZES = {"batch": 3, "seq": 7}


def drawn(line: str, *, sample: int = 0, seed: int = 0, name: str = "x") -> np.ndarray:
    return draw({name: InputSpec.model_validate(line)}, SIZES, seed, sample)[name]


def all_samples(line: str) -> list[np.ndarray]:
    return [drawn(line, sample=sample, seed=seed) for sample in range(5) for seed in range(20)]


def test_the_same_seed_gives_the_same_values_on_every_machine() -> None:
    # Literals, as they were when this was written.
    assert drawn("float32[2]").tolist() == [-0.6123757362365723, 1.6464602947235107]
    assert drawn("int64[batch] in 0..29999").tolist() == [29999, 1929, 0]


def test_the_same_seed_gives_the_same_values_in_every_process() -> None:
    code = (
        "from onnxproof.samples.generate import draw\nfrom onnxproof.spec.inputs import InputSpec\n"
        "spec = InputSpec.model_validate('float32[4]')\n"
        "print(draw({'x': spec}, {}, 0, 0)['x'].tobytes().hex())"
    )
    prints = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(prints) == 1


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"sample": 1}, {"name": "y"}],
    ids=["seed", "sample", "input"],
)
def test_another_place_gives_other_values(changed: dict[str, int]) -> None:
    assert not np.array_equal(drawn("float32[8]"), drawn("float32[8]", **changed))  # type: ignore[arg-type]


def test_another_point_gives_other_values() -> None:
    inputs = {"x": InputSpec.model_validate("float32[8]")}
    first, second = (draw(inputs, {"batch": size}, 0, 0)["x"] for size in (1, 2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("line", "dtype", "shape"),
    [
        ("float32[batch, 2*seq]", "float32", (3, 14)),
        ("float16[]", "float16", ()),
        ("uint8[batch] in 0..255", "uint8", (3,)),
        ("int32[batch, seq] mask", "int32", (3, 7)),
        ("bool[seq]", "bool", (7,)),
        ("bool[batch, seq] mask", "bool", (3, 7)),
        ("int in 3..5", "int64", ()),
        ("float", "float32", ()),
    ],
)
def test_values_have_the_declared_dtype_and_shape(
    line: str, dtype: str, shape: tuple[int, ...]
) -> None:
    values = drawn(line)
    assert (str(values.dtype), values.shape) == (dtype, shape)


@pytest.mark.parametrize("kind", ["", "lengths "])
def test_integers_hit_both_ends_of_their_range_and_never_leave_it(kind: str) -> None:
    line = f"int64[batch] {kind}in -7..20000"
    first = drawn(line)
    assert (first[0], first[-1]) == (20000, -7)
    values = np.concatenate(all_samples(line))
    assert (values.min(), values.max()) == (-7, 20000)


def test_integers_are_drawn_with_both_ends_in_later_samples_too() -> None:
    assert set(drawn("int64[64] in 0..1", sample=1).tolist()) == {0, 1}


def test_integers_of_one_element_hit_the_greatest() -> None:
    assert drawn("int64[1] in 0..9").tolist() == [9]


def test_uniform_values_stay_in_their_range() -> None:
    values = np.concatenate(all_samples("float32[batch] in -1.5..2.5"))
    assert values.min() >= -1.5
    assert values.max() <= 2.5
    assert values.std() > 0.5


def test_normal_values_have_the_declared_scale() -> None:
    spec = InputSpec.model_validate({"dtype": "float32", "shape": [10_000], "scale": 0.1})
    assert draw({"x": spec}, {}, 0, 0)["x"].std() == pytest.approx(0.1, rel=0.05)


def test_bools_are_of_both_kinds() -> None:
    assert set(drawn("bool[64]").tolist()) == {True, False}


def test_every_row_of_a_mask_is_ones_and_then_zeros_with_at_least_one() -> None:
    for mask in all_samples("int64[batch, seq] mask"):
        assert set(np.unique(mask)) <= {0, 1}
        assert (mask.sum(axis=1) >= 1).all()
        assert (np.diff(mask, axis=1) <= 0).all()


def test_the_first_sample_of_a_mask_has_a_full_row_and_some_sample_a_padded_one() -> None:
    assert drawn("int64[batch, seq] mask")[0].tolist() == [1] * 7
    assert any(not mask.all() for mask in all_samples("int64[batch, seq] mask"))


def test_a_mask_of_one_position_is_a_one() -> None:
    feed: Feed = draw({"m": InputSpec.model_validate("int64[4, 1] mask")}, {}, 0, 3)
    assert feed["m"].tolist() == [[1]] * 4


def test_a_count_takes_both_ends_of_its_range_and_values_in_between() -> None:
    counts = [int(drawn("int64[] in 0..5", sample=sample)) for sample in range(4)]
    assert counts[:2] == [5, 0]
    assert all(0 <= count <= 5 for count in counts)
    assert int(drawn("int in 2..9", sample=1)) == 2
