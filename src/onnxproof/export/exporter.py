"""One exporter run on one module, inside the child."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxproof.errors import ExportError, OnnxproofError
from onnxproof.records import Work
from onnxproof.samples.grid import example_sizes
from onnxproof.spec import StrategyName

if TYPE_CHECKING:
    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.graph.external_data import Exported
    from onnxproof.source.module import SourceModule


def run_exporter(
    source: SourceModule, work: Work, strategy: StrategyName, outputs: list[str], log: OperatorLog
) -> Exported:
    """In a child: let one exporter make what it can of the module.

    Args:
        source: What to export.
        work: Where the module's code may come from.
        strategy: Which exporter.
        outputs: Names of the graph's outputs; without any, the exporter names them.
        log: Gets the operators that the exporter finds.

    Raises:
        ExportError: It gave no graph.
    """
    from onnxproof.export.failure import explain
    from onnxproof.export.strategies import STRATEGIES
    from onnxproof.export.translations import read_translations
    from onnxproof.samples.generate import draw
    from onnxproof.spec.nested_inputs import INNER

    spec = source.spec
    feed = draw(spec.inputs, example_sizes(spec.dims), spec.check.seed, 0)
    arguments = source.arguments(feed)
    translations = read_translations(spec, work, STRATEGIES[strategy].exporter)
    log.outer = "" if source.module is source.model else INNER
    try:
        exported = STRATEGIES[strategy].export(source, arguments, outputs, translations, log)
    except OnnxproofError:
        raise
    except Exception as error:
        fault = explain(error, strategy, work.roots)
        message = f"{strategy}: {fault.reason}"
        raise ExportError(message, where=fault.where, hint=fault.hint) from error
    translations.add_functions(exported.model)
    return exported
