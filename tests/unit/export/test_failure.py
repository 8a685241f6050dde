from __future__ import annotations

from pathlib import Path

import pytest
import torch

from onnxproof.errors import ExportError
from onnxproof.export.failure import REASON_CHARACTERS, explain
from onnxproof.spec import StrategyName
from tests.helpers.failing_models import Right, line_of
from tests.helpers.graphs import export, load
from tests.helpers.specs import ROOT, spec_of, work_in

pytestmark = pytest.mark.filterwarnings("ignore")


def raised(*messages: str) -> Exception:
    """An error with the last of ``messages``, caused by one with the message before, and so on."""
    error: Exception | None = None
    for message in messages:
        outer = ValueError(message)
        outer.__cause__ = error
        error = outer
    assert error is not None
    return error


def failed(folder: Path, name: str, strategy: StrategyName) -> ExportError:
    work = work_in(folder)
    spec = spec_of(source={"factory": f"tests.helpers.failing_models:{name}"}, check={"samples": 1})
    loaded = load(spec, work)
    with pytest.raises(ExportError) as caught:
        export(spec, work, loaded, strategy)
    return caught.value


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (raised("the cause", "a page of advice"), "ValueError: the cause"),
        (raised("\x1b[1;31mred\x1b[0m words\n\n  on lines"), "ValueError: red words on lines"),
        (
            raised("why\nThe error above occurred when calling torch.export.export.\nand so on"),
            "ValueError: why",
        ),
        (raised("why\n\nFor more information, run with TORCH_LOGS"), "ValueError: why"),
        (raised('why:\n  File "/x/y.py", line 3\n    code\n    ~~~~ <--- HERE'), "ValueError: why"),
        (raised("step 1/3 of 4 // 2"), "ValueError: step 1/3 of 4 // 2"),
        (KeyError(), "KeyError"),
    ],
)
def test_an_error_of_an_exporter_is_reported_in_a_line(error: Exception, text: str) -> None:
    assert explain(error, "dynamo", ()).reason == text


def test_a_long_reason_is_cut() -> None:
    assert len(explain(raised("x" * 5000), "trace", ()).reason) == REASON_CHARACTERS


def test_paths_of_this_machine_are_reported_from_the_root() -> None:
    text = f"no {ROOT}/tests/model.py, nor {torch.__file__}, nor /srv/data/rows.npz"
    assert explain(raised(text), "trace", [str(ROOT)]).reason == (
        "ValueError: no tests/model.py, nor torch/__init__.py, nor rows.npz"
    )


@pytest.mark.parametrize(
    ("name", "strategy", "reason", "hint"),
    [
        ("Branch", "dynamo", "GuardOnDataDependentSymNode: Could not guard", "torch.cond"),
        ("Count", "dynamo", "Could not guard on data-dependent", "torch.while_loop"),
        ("Histogram", "dynamo", "aten.histc.default: NotImplementedError", "translation"),
        ("Histogram", "trace", "aten::histc", "translation"),
        ("Histogram", "script", "aten::histc", "translation"),
        ("Unpacks", "script", "script: RuntimeError: cannot statically infer", "annotate"),
        ("Raises", "dynamo", "ValueError: tests/helpers/failing_models.py said no", "draft_export"),
        (
            "Raises",
            "trace",
            "ValueError: tests/helpers/failing_models.py said no",
            "torch.jit.trace",
        ),
    ],
)
def test_an_export_that_fails_names_the_line_and_what_may_help(
    tmp_path: Path, name: str, strategy: StrategyName, reason: str, hint: str
) -> None:
    error = failed(tmp_path, name, strategy)
    assert error.where == line_of(name)
    assert reason in str(error)
    assert hint in error.hint
    assert str(ROOT) not in str(error)


def test_the_innermost_line_below_a_root_is_at_fault() -> None:
    with pytest.raises(RuntimeError) as error:
        Right()(torch.zeros(5))
    inner = f"tests/helpers/failing_models.py:{Right.forward.__code__.co_firstlineno + 1}"
    assert explain(error.value, "trace", [str(ROOT)]).where == inner


def test_lines_of_the_exporter_alone_are_no_place() -> None:
    text = f'why\n  File "{torch.__file__}", line 3, in export'
    assert explain(raised(text), "dynamo", []).where == ""
