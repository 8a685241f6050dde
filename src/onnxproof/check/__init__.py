"""The stage check: the verdicts on one graph, a module for each.

Nothing here knows PyTorch: expected values come from the reference. Imports ``runtime``,
``weights``, ``samples`` and below, and onnx.
"""
