"""The stage export: the ways from a module to an ONNX graph, and why one failed.

Holds an exporter a strategy, workarounds, translations and hints. Whether the graph is right is
asked in ``check``. Imports ``source``, ``graph`` and below, and torch.
"""
