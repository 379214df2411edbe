"""What probes and Prometheus ask the console's port, without signing in."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.console.record_metrics import collect_record_metrics
from gateway.services.check_health import Status, check_health


@require_safe
@never_cache
def get_liveness(_request: HttpRequest) -> HttpResponse:
    """Say that this process answers; it asks nothing of the database or of anything else."""
    return JsonResponse({"status": Status.OK})


@require_safe
@never_cache
def get_readiness(_request: HttpRequest) -> HttpResponse:
    """Tell each check and its finding; 503 if any failed, so that a balancer sends nobody here."""
    health = check_health(timezone.now())
    checks = {
        check.name: {
            "status": check.finding.status,
            "detail": check.finding.detail,
            **check.finding.facts,
            "seconds": check.seconds,
        }
        for check in health.checks
    }
    return JsonResponse(
        {"status": health.status, "checks": checks},
        status=503 if health.status is Status.FAILED else 200,
        json_dumps_params={"indent": 2},
    )


@require_safe
@never_cache
def get_metrics(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(_AllMetrics()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class _AllMetrics(Collector):
    """The process's own figures, and those that only the database has."""

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
        yield from collect_record_metrics(timezone.now())
