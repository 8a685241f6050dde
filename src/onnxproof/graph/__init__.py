"""Work on ONNX protobufs without a session: traversal, external data, opset, contract, sources.

No graph is judged or simplified here. Imports ``usercode`` and below, and onnx.
"""
