"""The stage load: build the module, and save inputs and PyTorch's outputs as the reference.

Holds what is learned from running PyTorch: noise, determinism, dtypes, unused inputs. What builds
a module is in ``source``. Imports ``source``, ``samples`` and below, and torch.
"""
