"""A client of MLflow, and its errors in our words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar, cast

from onnxproof.errors import RegisterError, ServerUnreachable, one_line
from onnxproof.settings import is_http, read_settings, shown_url
from onnxproof.tracking.rest_reader import MlflowNeeded, RestReader

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
KEY_TAG: Final = "onnxproof.proof_key"
_AWAY: Final = re.compile(r"error code 50[234]|too many 50[234] error")
"""A proxy in front of a server that is gone; in MLflow's words (mlflow 3.17, rest_utils)."""


@contextlib.contextmanager
def talking(asked: str) -> Iterator[MlflowClient]:
    """A client; what MLflow raises inside of the block becomes an error of ours.

    Args:
        asked: What it is asked for, to end the words "was asked to".

    Raises:
        ServerUnreachable: It does not answer.
        RegisterError: It answered something else than was expected.
    """
    import requests
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = read_settings().tracking_uri
    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, requests.RequestException) as error:
        text = one_line(error, 300)
        if is_away(error):
            raise ServerUnreachable(
                f"MLflow at {shown_url(uri)} was asked to {asked} and does not answer ({text}); "
                "start it (`make up` starts a local one) and run the same again"
            ) from error
        raise RegisterError(f"MLflow was asked to {asked} and answered: {text}") from error


def reading_first(asked: str, work: Callable[[MlflowClient], T]) -> T:
    """What ``work`` gives; where it only reads from a server, without importing mlflow.

    Args:
        asked: As in ``talking``.
        work: Called a second time, with MLflow's own client, when it turns out to write.

    Raises:
        ServerUnreachable: It does not answer.
        RegisterError: It answered something else than was expected.
    """
    uri = read_settings().tracking_uri
    if is_http(uri):
        with contextlib.suppress(MlflowNeeded):
            return work(cast("MlflowClient", RestReader(uri)))
    with talking(asked) as client:
        return work(client)


def import_ahead() -> None:
    """Import what a registration needs, in a thread, while children work and this process waits."""
    import threading
    from importlib import import_module

    threading.Thread(target=import_module, args=("mlflow.onnx",), daemon=True).start()


def is_away(error: BaseException | None) -> bool:
    """Whether ``error``, or what it came from, is that nobody answered."""
    import requests

    while error is not None:
        if isinstance(error, (requests.ConnectionError, requests.Timeout)):
            return True
        if _AWAY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
