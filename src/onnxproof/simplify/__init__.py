"""The stage simplify: one smaller graph from a plain one.

Whether the smaller graph takes the plain one's place is decided in ``gates``. Imports ``graph``,
``isolation`` and below, and onnx, onnxsim, onnxslim.
"""
