"""Scripts that measure onnxproof itself; `make bench` runs them."""
