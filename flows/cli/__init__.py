"""The command line ``onnxproof``: thin over the flows and the library."""
