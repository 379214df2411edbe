"""The health service (grpc.health.v1): whether database, storage and keys work, found out by using them."""

import asyncio
from typing import Self

import structlog
from django.utils import timezone
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

from cogrpc.relay import RELAY_NAMES
from gateway.services.check_health import Status, check_health

PROBE_SECONDS = 10.0
NAMES = ("", *RELAY_NAMES)

log = structlog.get_logger(__name__)


class HealthProbe:
    """Keeps what `servicer` answers true, for as long as it is run."""

    def __init__(self) -> None:
        self.servicer = health.HealthServicer()

    @classmethod
    async def make(cls) -> Self:
        """One that says that nothing serves, until the first probe."""
        probe = cls()
        await probe._tell(serving=False)
        return probe

    async def run(self) -> None:
        while True:
            await self.probe()
            await asyncio.sleep(PROBE_SECONDS)

    async def probe(self) -> None:
        # In a thread of the loop's own: those of the services may all be busy, and that is no failure.
        found = await asyncio.to_thread(check_health, timezone.now())
        failed = [check.name for check in found.checks if check.finding.status is Status.FAILED]
        if failed:
            log.error("health_failed", checks=failed)
        await self._tell(serving=not failed)

    async def _tell(self, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        for name in NAMES:
            await self.servicer.set(name, status.SERVING if serving else status.NOT_SERVING)
