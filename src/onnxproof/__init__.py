"""A PyTorch model becomes a registered ONNX model version that carries its proof."""
