"""The aliases ``challenger`` and ``champion``: who holds one, and moving it, last of all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal

from onnxproof.records import Comparison, Registration
from onnxproof.tracking.client import reading_first
from onnxproof.tracking.unfinished_runs import settle_leftovers
from onnxproof.tracking.versions import read_registration

if TYPE_CHECKING:
    from mlflow import MlflowClient

GATES_TAG: Final = "onnxproof.gates"


PROMOTED_TAG: Final = "onnxproof.promoted_at"


def _keep_comparison(
    client: MlflowClient, registration: Registration, comparison: Comparison
) -> None:
    if registration.run_id:
        client.log_text(
            registration.run_id, comparison.model_dump_json(indent=2), "comparison.json"
        )
    text = comparison.reason or "passed"
    client.set_model_version_tag(registration.name, registration.version, GATES_TAG, text[:5000])


def find_champion(registration: Registration) -> Registration | None:
    """The version that would lose the alias ``champion`` to this one.

    None where there is no champion, where this version is it, and where a person took the alias
    back from it, since it will not be given again.

    Raises:
        ServerUnreachable: MLflow does not answer.
    """
    name, version = registration.name, registration.version

    def find(client: MlflowClient) -> Registration | None:
        holder = _holder(client, name, "champion")
        if holder is None or holder == int(version) or _rolled_back(client, name, version, holder):
            return None
        return read_registration(client, name, str(holder))

    return reading_first(f"look for the champion of {name}", find)


def promote(
    registration: Registration, mode: Literal["auto", "never"], comparison: Comparison | None = None
) -> Registration:
    """The version with the aliases it is due: ``challenger``, and with ``auto`` ``champion``.

    What the gates said is kept first: ``comparison.json`` beside the run, and a tag of the version.

    A version that was champion and lost the alias to an older one was rolled back by a person, and
    is left alone. Last of all, what killed processes left behind is finished or removed.

    Raises:
        ServerUnreachable: MLflow does not answer.
    """
    name, version = registration.name, registration.version

    def settle(client: MlflowClient) -> Registration:
        give_alias(client, name, "challenger", version, only_newer=True)
        if comparison is not None:
            _keep_comparison(client, registration, comparison)
        if mode == "auto":
            _make_champion(client, name, version)
        settle_leftovers(client, name)
        return read_registration(client, name, version)

    return reading_first(f"promote {name} version {version}", settle)


def give_alias(
    client: MlflowClient, name: str, alias: str, version: str, *, only_newer: bool = False
) -> None:
    """Let ``alias`` mean ``version``; with ``only_newer`` never take it from a newer version."""
    holder = _holder(client, name, alias)
    if holder == int(version) or (only_newer and holder is not None and holder > int(version)):
        return
    client.set_registered_model_alias(name, alias, version)


def _make_champion(client: MlflowClient, name: str, version: str) -> None:
    holder = _holder(client, name, "champion")
    if holder is not None and _rolled_back(client, name, version, holder):
        return
    give_alias(client, name, "champion", version)
    if PROMOTED_TAG not in client.get_model_version(name, version).tags:
        # After the alias: a tag alone would look like a rollback when the process ends here.
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        client.set_model_version_tag(name, version, PROMOTED_TAG, stamp)


def _rolled_back(client: MlflowClient, name: str, version: str, holder: int) -> bool:
    """Whether a person gave the alias of this version, once champion, to an older one."""
    was_champion = PROMOTED_TAG in client.get_model_version(name, version).tags
    return was_champion and holder < int(version)


def _holder(client: MlflowClient, name: str, alias: str) -> int | None:
    """Number of the version that ``alias`` means; None when it means none."""
    found = client.get_registered_model(name).aliases.get(alias)
    return None if found is None else int(found)
