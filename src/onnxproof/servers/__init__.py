"""Local Prefect and MLflow servers, and the deployments on them.

Used by ``make up``, ``make deploy`` and ``make worker``; no stage needs it. Imports ``proof``,
``settings`` and below.
"""
