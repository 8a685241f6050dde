"""The stages as plain functions, for a run without Prefect."""

from __future__ import annotations

from onnxproof.benchmark.stage import measure
from onnxproof.check.stage import check_candidate
from onnxproof.export.stage import export_onnx
from onnxproof.localize import stage as localize_stage
from onnxproof.pipeline import conclude as conclude_stage
from onnxproof.pipeline.load import load_source
from onnxproof.promotion.champion_comparison import compare_with_champion
from onnxproof.promotion.version_measurement import measure_elsewhere
from onnxproof.simplify import stage as simplify_stage
from onnxproof.tracking import find_version, promote, register


class DirectStages:
    """Each stage is its package's own function; see ``pipeline.stages.Stages``."""

    look_up = staticmethod(find_version)
    load = staticmethod(load_source)
    export = staticmethod(export_onnx)
    simplify = staticmethod(simplify_stage.simplify)
    check = staticmethod(check_candidate)
    localize = staticmethod(localize_stage.localize)
    benchmark = staticmethod(measure)
    conclude = staticmethod(conclude_stage.conclude)
    register = staticmethod(register)
    measure_elsewhere = staticmethod(measure_elsewhere)
    compare = staticmethod(compare_with_champion)
    promote = staticmethod(promote)
