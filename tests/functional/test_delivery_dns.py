"""Parcels find their way by a signed zone, through a resolver that validates it, both of them real."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from awala.addressing import ServiceRecord
from awala.clients.connections import Deadline
from awala.clients.delivery import ParcelDeliverer
from awala.clients.doh import DoHResolver
from awala.clients.errors import (
    ConnectionFailedError,
    FailedResolutionError,
    ForbiddenTargetError,
    MissingServiceError,
    RefusedParcelError,
    UnsignedResolutionError,
)
from awala.clients.http import tls_context
from tests.functional.collector import Collector
from tests.functional.dns_zone import SIGNED_ZONE, UNSIGNED_ZONE, DNSServerMissingError, ZoneFile, run_dns
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway
from tests.functional.tls_proxy import TLSProxy
from tests.unit.awala.clients.http_server import Reply, Request, Server, serve

LOOPBACK = ("127.0.0.0/8",)

pytestmark = pytest.mark.functional


@dataclass(frozen=True, kw_only=True)
class World:
    """Who can be reached, by which resolver."""

    resolver_url: str
    first: Server
    second: Server
    proxy: TLSProxy


@pytest.fixture(scope="module")
def world(gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(serve(_accept)) for _ in range(2))
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        proxy = stack.enter_context(TLSProxy(tmp_path_factory.mktemp("tls")))
        zones = _make_zones(
            first=_port(first.url),
            second=_port(second.url),
            nobody=nobody.getsockname()[1],
            gateway=gateway.ports.pohttp,
            proxy=_port(proxy.serve(gateway.ports.pohttp)),
        )
        try:
            resolver_url = stack.enter_context(run_dns(tmp_path_factory.mktemp("dns"), zones))
        except DNSServerMissingError as error:
            _give_up(str(error))
        yield World(resolver_url=resolver_url, first=first, second=second, proxy=proxy)


def _make_zones(*, first: int, second: int, nobody: int, gateway: int, proxy: int) -> ZoneFile:
    host = f"host.{SIGNED_ZONE}."
    return ZoneFile(
        signed=[
            "host IN A 127.0.0.1",
            f"_awala-pdc._tcp.one IN SRV 0 0 {first} {host}",
            f"_awala-pdc._tcp.alias IN CNAME _awala-pdc._tcp.one.{SIGNED_ZONE}.",
            f"_awala-pdc._tcp.tampered IN SRV 7 7 {first} {host}",
            f"_awala-pdc._tcp.ranked IN SRV 20 0 {second} {host}",
            f"_awala-pdc._tcp.ranked IN SRV 10 0 {first} {host}",
            f"_awala-pdc._tcp.weighed IN SRV 0 30 {first} {host}",
            f"_awala-pdc._tcp.weighed IN SRV 0 10 {second} {host}",
            f"_awala-pdc._tcp.halfdown IN SRV 10 0 {nobody} {host}",
            f"_awala-pdc._tcp.halfdown IN SRV 20 0 {second} {host}",
            "_awala-pdc._tcp.closed IN SRV 0 0 0 .",
            '_awala-pdc._tcp.empty IN TXT "no SRV"',
            f"_awala-pdc._tcp.gateway IN SRV 0 0 {gateway} {host}",
            f"_awala-pdc._tcp.tls IN SRV 0 0 {proxy} localhost.",
            f"_awala-pdc._tcp.misnamed IN SRV 0 0 {proxy} {host}",
        ],
        unsigned=[f"_awala-pdc._tcp.one IN SRV 0 0 {first} {host}"],
        tampered=(f"SRV\t7 7 {first} ", f"SRV\t7 8 {first} "),
    )


def _accept(_: Request) -> Reply:
    return Reply(status=202, body=b"{}")


def _port(url: str) -> int:
    return int(url.split(":")[2].strip("/"))


def _give_up(reason: str) -> None:
    if os.environ.get("AWALA_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(f"DELIVERY BY SIGNED DNS NOT TESTED: {reason}")


Make = Callable[..., ParcelDeliverer]


@pytest.fixture
def make_deliverer(world: World) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(*, allowed_networks: tuple[str, ...] = LOOPBACK, use_tls: bool = False) -> ParcelDeliverer:
            deliverer = ParcelDeliverer(
                resolver_url=world.resolver_url, use_tls=use_tls, allowed_networks=allowed_networks
            )
            stack.callback(deliverer.close)
            return deliverer

        world.first.requests.clear()
        world.second.requests.clear()
        yield make


@pytest.fixture
def deliverer(make_deliverer: Make) -> ParcelDeliverer:
    return make_deliverer()


@pytest.fixture
def tls_deliverer(world: World, make_deliverer: Make, monkeypatch: pytest.MonkeyPatch) -> Iterator[ParcelDeliverer]:
    """One that trusts the proxy of the tests."""
    monkeypatch.setenv("SSL_CERT_FILE", str(world.proxy.certificate_file))
    tls_context.cache_clear()
    yield make_deliverer(use_tls=True)
    tls_context.cache_clear()


class TestSignedZone:
    @pytest.mark.parametrize("name", ["one", "alias"])
    def test_parcel_arrives(self, world: World, deliverer: ParcelDeliverer, name: str) -> None:
        deliverer.deliver(f"{name}.{SIGNED_ZONE}", b"parcel")
        assert [request.body for request in world.first.requests] == [b"parcel"]

    def test_parcel_for_a_device_arrives_there(self, gateway: GatewayProcess, deliverer: ParcelDeliverer) -> None:
        device = PrivateGateway.register(gateway)
        parcel = device.make_parcel()
        deliverer.deliver(f"gateway.{SIGNED_ZONE}", parcel.serialized)
        with Collector(gateway.collection_url, device) as collector:
            delivery = collector.take(timeout=10)
            collector.acknowledge(delivery)
        assert delivery.parcel_serialized == parcel.serialized

    def test_invalid_parcel_is_refused_for_good(self, deliverer: ParcelDeliverer) -> None:
        with pytest.raises(RefusedParcelError):
            deliverer.deliver(f"gateway.{SIGNED_ZONE}", b"no parcel")

    def test_name_without_the_record(self, deliverer: ParcelDeliverer) -> None:
        with pytest.raises(MissingServiceError):
            deliverer.deliver(f"empty.{SIGNED_ZONE}", b"parcel")

    def test_service_that_is_not_offered(self, deliverer: ParcelDeliverer) -> None:
        with pytest.raises(MissingServiceError):
            deliverer.deliver(f"closed.{SIGNED_ZONE}", b"parcel")

    @pytest.mark.parametrize("zone", [SIGNED_ZONE, UNSIGNED_ZONE])
    def test_address_without_records_is_its_own_server(self, world: World, zone: str) -> None:
        resolver = DoHResolver(world.resolver_url, timeout_seconds=5)
        try:
            records = resolver.resolve_service(f"nowhere.{zone}", "awala-pdc", Deadline(10))
        finally:
            resolver.close()
        assert records == (ServiceRecord(priority=0, weight=0, target=f"nowhere.{zone}", port=443),)


class TestInsecureAnswer:
    def test_zone_without_signatures(self, world: World, deliverer: ParcelDeliverer) -> None:
        with pytest.raises(UnsignedResolutionError):
            deliverer.deliver(f"one.{UNSIGNED_ZONE}", b"parcel")
        assert not world.first.requests

    def test_record_that_was_tampered_with(self, world: World, deliverer: ParcelDeliverer) -> None:
        with pytest.raises(FailedResolutionError, match="SERVFAIL"):
            deliverer.deliver(f"tampered.{SIGNED_ZONE}", b"parcel")
        assert not world.first.requests


class TestSeveralServers:
    def test_lowest_priority_is_taken(self, world: World, deliverer: ParcelDeliverer) -> None:
        for _ in range(10):
            deliverer.deliver(f"ranked.{SIGNED_ZONE}", b"parcel")
        assert (len(world.first.requests), len(world.second.requests)) == (10, 0)

    def test_weights_share_the_load(self, world: World, deliverer: ParcelDeliverer) -> None:
        for _ in range(400):
            deliverer.deliver(f"weighed.{SIGNED_ZONE}", b"parcel")
        # Three quarters, give or take six standard deviations.
        assert 248 <= len(world.first.requests) <= 352
        assert len(world.first.requests) + len(world.second.requests) == 400

    def test_next_one_when_one_is_down(self, world: World, deliverer: ParcelDeliverer) -> None:
        deliverer.deliver(f"halfdown.{SIGNED_ZONE}", b"parcel")
        assert len(world.second.requests) == 1


class TestTargets:
    def test_loopback_is_refused(self, world: World, make_deliverer: Make) -> None:
        deliverer = make_deliverer(allowed_networks=())
        with pytest.raises(ForbiddenTargetError):
            deliverer.deliver(f"one.{SIGNED_ZONE}", b"parcel")
        assert not world.first.requests

    def test_loopback_is_allowed_by_the_setting(self, world: World, make_deliverer: Make) -> None:
        make_deliverer(allowed_networks=("127.0.0.1/32",)).deliver(f"one.{SIGNED_ZONE}", b"parcel")
        assert len(world.first.requests) == 1

    def test_certificate_is_that_of_the_target(self, tls_deliverer: ParcelDeliverer) -> None:
        # The gateway was reached where it refuses the parcel.
        with pytest.raises(RefusedParcelError):
            tls_deliverer.deliver(f"tls.{SIGNED_ZONE}", b"no parcel")

    def test_certificate_of_another_name(self, tls_deliverer: ParcelDeliverer) -> None:
        with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            tls_deliverer.deliver(f"misnamed.{SIGNED_ZONE}", b"no parcel")
