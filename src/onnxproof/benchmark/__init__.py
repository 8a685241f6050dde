"""The benchmark: what takes part, turns in shuffled rounds, and what the samples say."""

from onnxproof.benchmark.measure import BenchmarkRequest, measure, measure_in_child

__all__ = ["BenchmarkRequest", "measure", "measure_in_child"]
