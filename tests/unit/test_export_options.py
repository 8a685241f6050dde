from __future__ import annotations

import inspect
import re

import torch

from tests.unit.builders import ROOT

CLASSIC = [
    "export_params", "verbose", "training", "input_names", "output_names", "aten", "export_raw_ir",
    "operator_export_type", "opset_version", "_retain_param_name", "do_constant_folding",
    "example_outputs", "strip_doc_string", "dynamic_axes", "keep_initializers_as_inputs",
    "custom_opsets", "enable_onnx_checker", "use_external_data_format",
]  # fmt: skip
"""Parameters of ``torch.onnx.export`` in PyTorch 1.6 and its neighbours."""


def rows_of(title: str) -> dict[str, str]:
    """Names in the first column of the table below a heading, with the rest of their row."""
    page = (ROOT / "docs" / "export-options.md").read_text(encoding="utf-8")
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", section, re.MULTILINE)
    return {name: rest for names, rest in rows for name in re.findall(r"`(\w+)`", names)}


def test_the_table_has_every_parameter_of_the_classic_signature() -> None:
    assert list(rows_of("The classic signature")) == CLASSIC


def test_the_tables_know_the_installed_torch_s_signature_to_the_last_parameter() -> None:
    today = set(inspect.signature(torch.onnx.export).parameters)
    classic, added = rows_of("The classic signature"), rows_of("Added since")
    removed = {name for name, row in classic.items() if row.startswith("Removed")}
    assert (set(classic) - removed) | set(added) == today
    assert not removed & today
