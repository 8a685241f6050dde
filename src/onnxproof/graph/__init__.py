"""Work on ONNX protobufs without a session: traversal, external data, opsets, source lines.

No graph is judged or simplified here. Imports ``usercode`` and below, and onnx.
"""
