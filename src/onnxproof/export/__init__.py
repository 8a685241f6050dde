"""The stage export: the ways from a module to an ONNX graph, and why one failed.

Holds an exporter for each strategy, workarounds, translations and hints. Whether the graph is right
is asked in ``check``; of its verdicts only ``contract`` is asked here, to try a workaround. Imports
``check``, ``source``, ``graph`` and below, and torch.
"""
