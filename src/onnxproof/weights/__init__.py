"""Whether the weights of a graph are the module's, by bytes and by rows.

Knows tensors and their digests, and no module. Imports ``graph`` and below, and onnx.
"""
