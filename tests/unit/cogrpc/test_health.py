from types import SimpleNamespace
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from cogrpc import health as module
from cogrpc.health import NAMES, HealthProbe
from gateway.services.check_health import Check, Finding, Health, Status

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health(status: Status) -> Health:
    return Health(checks=(Check(name="storage", finding=Finding(status=status, detail=""), seconds=0),))


async def statuses_of(probe: HealthProbe) -> set[Any]:
    context: Any = SimpleNamespace()
    answers: list[Any] = [
        await probe.servicer.Check(health_pb2.HealthCheckRequest(service=name), context) for name in NAMES
    ]
    return {answer.status for answer in answers}


async def test_nothing_serves_before_it_was_found_to_work() -> None:
    assert await statuses_of(await HealthProbe.make()) == {NOT_SERVING}


@pytest.mark.parametrize(
    ("status", "expected"), [(Status.OK, SERVING), (Status.WARNING, SERVING), (Status.FAILED, NOT_SERVING)]
)
async def test_services_serve_while_the_checks_pass(
    monkeypatch: pytest.MonkeyPatch, status: Status, expected: object
) -> None:
    probe = await HealthProbe.make()
    monkeypatch.setattr(module, "check_health", lambda _now: health(status))

    await probe.probe()

    assert await statuses_of(probe) == {expected}
