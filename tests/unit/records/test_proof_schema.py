from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from onnxproof.proof.manifest import read_proof
from onnxproof.records import OutputParity, Proof

ROOT = Path(__file__).parents[3]
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


def test_a_real_proof_is_valid_and_comes_back(toy_proof: tuple[Proof, Path]) -> None:
    proof, folder = toy_proof
    written = folder / "proof.json"
    jsonschema.validate(json.loads(written.read_text(), parse_constant=pytest.fail), SCHEMA)
    assert read_proof(written) == proof
    assert proof.check.sha256 == proof.chosen.model.sha256
