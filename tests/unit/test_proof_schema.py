from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from onnxproof.api import prove
from onnxproof.load import load_source
from onnxproof.plan import make_plan
from onnxproof.proof import read_proof
from onnxproof.records import OutputParity, Proof
from onnxproof.settings import read_settings
from onnxproof.spec import parse_spec

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "proof.schema.json").read_text())
DEFINITIONS: dict[str, Any] = {"Proof": SCHEMA, **SCHEMA["$defs"]}


def documented_fields() -> dict[str, list[str]]:
    """Heading to the names in the first column of its table."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in (ROOT / "docs" / "proof.md").read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif field := re.match(r"\| `(\w+)` \|", line):
            found.setdefault(heading, []).append(field[1])
    return found


def test_the_schema_file_is_that_of_the_code() -> None:
    assert Proof.model_json_schema(mode="serialization") == SCHEMA, "run `make schema`"


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_field_is_explained_and_no_other(name: str) -> None:
    assert documented_fields().get(name) == list(DEFINITIONS[name]["properties"])


def test_every_link_of_the_page_has_its_heading() -> None:
    page = (ROOT / "docs" / "proof.md").read_text()
    headings = {line.lstrip("# ").lower() for line in page.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= headings


def test_an_infinite_difference_is_valid_json_and_comes_back() -> None:
    parity = OutputParity(
        name="y",
        dtype="float32",
        samples=1,
        max_abs_diff=float("inf"),
        max_rel_diff=float("inf"),
        mismatched=1,
        elements=1,
        atol=0,
        rtol=0,
        worst_set="test_data_set_0",
        worst_index=(0,),
    )
    text = parity.model_dump_json()
    schema = {**DEFINITIONS["OutputParity"], "$defs": SCHEMA["$defs"]}
    jsonschema.validate(json.loads(text, parse_constant=pytest.fail), schema)
    assert OutputParity.model_validate_json(text) == parity


def test_a_real_proof_is_valid_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ONNXPROOF_HOME", str(tmp_path))
    spec = parse_spec(
        {
            "name": "toy",
            "source": {"factory": "tests.toys:tokens"},
            "inputs": {
                "input_ids": "int64[batch, seq] in 0..49",
                "attention_mask": "int64[batch, seq] mask",
            },
            "dims": {"batch": {"max": 4}, "seq": {"max": 8}},
            "export": {"strategies": ["trace", "script"]},
            "benchmark": {"samples": 3},
        }
    )
    plan = make_plan(spec, (), read_settings(), local_code=True)
    with plan.working() as work:
        proof = prove(plan, work, load_source(spec, work))
    written = Path(work.path("proof.json"))
    jsonschema.validate(json.loads(written.read_text(), parse_constant=pytest.fail), SCHEMA)
    assert read_proof(written) == proof
    assert proof.check.sha256 == proof.chosen.model.sha256
