"""The inputs that a proof asks with: the grid of sizes, drawn values, files, datasets, metrics.

Everything here is numpy; nothing knows PyTorch or a session. Imports ``usercode`` and below, and
onnx for files of tensors.
"""
