"""Prefect tasks: policy in the decorator, one call in the body, one task a file.

Only paths, digests and small records cross between them. None is cached by Prefect: the registry is
the cache, and a stale measurement is worse than a slow one. Their time and memory are limited where
the work is, in a child process, since Prefect's timeouts do not stop native code. A tag is a limit:
Prefect asks its server for a slot for every tag of a task, so only the task that needs one has one.
"""
