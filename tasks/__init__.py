"""Prefect tasks: the functions of onnxproof under a policy each, grouped by policy.

``stages`` are never tried again, ``registry`` is when MLflow was away, ``timing`` holds slots of
devices, ``dispatch`` asks another machine. Only paths, digests and small records cross between
tasks. None is cached by Prefect: the registry is the cache, and a stale measurement is worse than a
slow one. Their time and memory are limited where the work is, in a child process, since Prefect's
timeouts do not stop native code.
"""
