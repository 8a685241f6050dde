"""The stage localize: walk a wrong graph beside PyTorch, to the first tensor that differs.

Whether a graph is wrong is decided in ``check``. Imports ``check``, ``export`` and below, and
torch.
"""
