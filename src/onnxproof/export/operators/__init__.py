"""Which PyTorch operators an exporter met, and which ONNX nodes each became.

A log that each exporter fills, and the file that keeps it beside the graph.
"""
