"""What talks to MLflow."""

from __future__ import annotations

from onnxproof import tracking
from tasks.retry_policy import registry_task

look_up = registry_task(tracking.find_version, name="look-up", run_name="look-up-{name}")
register = registry_task(tracking.register, name="register", run_name="register-{proof.name}")
promote = registry_task(
    tracking.promote,
    name="promote",
    run_name="promote-{registration.name}-v{registration.version}",
)
describe = registry_task(tracking.describe, name="describe", run_name="describe-{model_uri}")
log_measurement = registry_task(
    tracking.log_measurement,
    name="log-measurement",
    run_name="log-measurement-{registration.name}-v{registration.version}",
)
