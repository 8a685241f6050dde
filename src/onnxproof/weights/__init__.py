"""Which tensors of a graph are the module's, by bytes and by rows.

Knows tensors and their digests, and no module; the verdict is ``check.weights``. Imports ``graph``
and below, and onnx.
"""
