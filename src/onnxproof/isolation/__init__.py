"""A stage in a child process that can be killed, and one benchmark of a machine at a time.

Holds what starts, watches and ends child processes, and the lock of the machine. Nothing here
knows a stage or a model. Imports ``errors`` and ``progress``.
"""
