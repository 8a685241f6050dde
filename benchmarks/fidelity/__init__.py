"""Whether the benchmark says what is true: of equals, of what is known to be slower, of a median.

``python -m benchmarks.fidelity`` takes about an hour on one core, goes on where it was stopped, and
writes docs/benchmark-fidelity.jsonl and docs/benchmark-fidelity.md.
"""
