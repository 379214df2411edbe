"""Messages over every mix of roads, online and by courier, between devices and endpoints on the published clients."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from benchmarks.postgresql import PostgreSQLMissingError
from tests.functional.deployments import KINDS, Deployment, run_gateway
from tests.functional.internet_endpoint import InternetEndpoint
from tests.functional.missing import give_up
from tests.functional.npm_cargo_values import MadePing, ParsedPCA, UnwrappedCargo
from tests.functional.npm_clients import Identity, MadeParcel, NpmClients, ParsedParcel, SessionKeyPair
from tests.functional.npm_devices import NpmDevice, Received, Route
from tests.functional.redis_server import RedisMissingError

pytestmark = pytest.mark.functional

PONG_ADDRESS = "pong.example.com"
FORGETTING_SECONDS = 15
ROUTES: tuple[Route, ...] = ("poweb", "cargo")

# Issues what registration would not: a certificate that has a month left.
_REISSUE = """
from datetime import timedelta
from django.utils import timezone
from awala.pki import issuance, keys
from gateway.services.load_identity import load_identity
now = timezone.now()
identity = load_identity(now)
certificate = issuance.issue_gateway_certificate(
    subject_public_key=keys.load_rsa_public_key(bytes.fromhex("{spki}")),
    issuer_private_key=identity.private_key,
    issuer_certificate=identity.issuer_certificate,
    not_before=now - timedelta(hours=3),
    not_after=now + timedelta(days=30),
    serial_number=keys.generate_serial_number(),
)
print("certificate", certificate.der.hex())
"""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A gateway, and an endpoint on the Internet that answers pings."""

    npm: NpmClients
    gateway: Deployment
    pong: Identity
    pong_key: SessionKeyPair
    endpoint: InternetEndpoint

    def register(self) -> NpmDevice:
        return NpmDevice.register(self.npm, self.gateway.edges)

    def make_ping(self, device: NpmDevice) -> MadePing:
        return device.ping_internet(self.pong, self.pong_key.public, PONG_ADDRESS)


@pytest.fixture(scope="module", params=KINDS)
def network(
    request: pytest.FixtureRequest, npm: NpmClients, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    pong, pong_key = npm.generate_identity(), npm.generate_session_key()
    with InternetEndpoint() as endpoint:
        environment = endpoint.environment(PONG_ADDRESS)
        try:
            with run_gateway(request.param, tmp_path_factory.mktemp("sneakernet"), environment) as gateway:
                endpoint.reply(lambda ping: npm.answer_ping(pong, pong_key, ping).serialized, gateway.edges.pohttp_url)
                yield Network(npm=npm, gateway=gateway, pong=pong, pong_key=pong_key, endpoint=endpoint)
        except (PostgreSQLMissingError, RedisMissingError) as error:
            give_up("ROLES APART", error)


def pca_of(device: NpmDevice, recipient: Identity, ping: MadePing) -> ParsedPCA:
    return ParsedPCA(
        sender_id=device.endpoint.identity.node_id, recipient_id=recipient.node_id, parcel_id=ping.parcel_id
    )


def assert_acknowledged(received: Received, pca: ParsedPCA) -> None:
    """What comes in cargo brings the acknowledgement of what was sent; over PoWeb nobody needs one."""
    if received.cargo:
        assert received.cargo.acknowledgements == [pca]


# ---------------------------------------------------------------- Pings and pongs


@pytest.mark.parametrize("home", ROUTES)
@pytest.mark.parametrize("out", ROUTES)
def test_ping_to_the_internet_and_pong(network: Network, out: Route, home: Route) -> None:
    device = network.register()
    ping = network.make_ping(device)

    device.send(out, ping.serialized)
    received = device.receive(home)

    assert device.read_pong(received, ping) == ping.ping_id
    assert received.parcel.sender_id == network.pong.node_id
    assert network.endpoint.counts[ping.sha256] == 1
    assert_acknowledged(received, pca_of(device, network.pong, ping))


@pytest.mark.parametrize("home", ROUTES)
@pytest.mark.parametrize("out", ROUTES)
def test_ping_to_another_device_and_pong(network: Network, out: Route, home: Route) -> None:
    device, other = network.register(), network.register()
    ping = device.ping_device(other)

    device.send(out, ping.serialized)
    arrived = other.receive(home)
    other.answer(out, arrived.serialized)
    received = device.receive(home)

    assert arrived.serialized == ping.serialized
    assert device.read_pong(received, ping) == ping.ping_id
    assert_acknowledged(received, pca_of(device, other.endpoint.identity, ping))


def test_many_pings_in_one_cargo(network: Network) -> None:
    device = network.register()
    pings = [network.make_ping(device) for _ in range(10)]

    device.send("cargo", *(ping.serialized for ping in pings))

    network.endpoint.wait_until_accepted(ping.sha256 for ping in pings)
    cargo = collect_until(device, lambda cargo: len(cargo.valid_parcels) == len(pings))
    assert {pca.parcel_id for pca in cargo.acknowledgements} == {ping.parcel_id for ping in pings}


def test_ping_sent_by_both_roads_is_delivered_once(network: Network) -> None:
    device = network.register()
    ping = network.make_ping(device)

    device.send("poweb", ping.serialized)
    device.send("cargo", ping.serialized)
    another = network.make_ping(device)
    device.send("cargo", another.serialized)

    network.endpoint.wait_until_accepted([ping.sha256, another.sha256])
    assert network.endpoint.counts[ping.sha256] == 1


# ---------------------------------------------------------------- Acknowledgements of collection


def test_acknowledged_parcels_do_not_come_again(network: Network) -> None:
    device, sender = network.register(), network.npm.generate_identity()
    kept, acknowledged = (deliver_from_the_internet(network, device, sender) for _ in range(2))
    first, again = collect_parcels(device), collect_parcels(device)
    (parcel,) = (parcel for parcel in first if parcel.id == acknowledged.id)

    device.send("cargo", device.make_pca(parcel))

    assert {parcel.id for parcel in first} == {parcel.id for parcel in again} == {kept.id, acknowledged.id}
    wait_until(lambda: [parcel.id for parcel in collect_parcels(device)] == [kept.id])


def test_acknowledgement_of_another_device_counts_for_nothing(network: Network) -> None:
    device, other, sender = network.register(), network.register(), network.npm.generate_identity()
    deliver_from_the_internet(network, device, sender)
    (parcel,) = collect_parcels(device)
    ping = network.make_ping(other)

    other.send("cargo", other.make_pca(parcel), ping.serialized)
    network.endpoint.wait_until_accepted([ping.sha256])

    assert collect_parcels(device) == [parcel]


def test_items_after_a_bad_one_are_taken(network: Network) -> None:
    device = network.register()
    ping = network.make_ping(device)

    device.send("cargo", b"Hello", ping.serialized[:-1], ping.serialized)

    network.endpoint.wait_until_accepted([ping.sha256])


# ---------------------------------------------------------------- Certificates and sizes


def test_certificate_near_its_end_is_rotated(network: Network) -> None:
    def reissue(identity: Identity) -> bytes:
        code = _REISSUE.format(spki=identity.spki_der.hex())
        printed = network.gateway.process.manage("shell", "--verbosity", "0", "--command", code)
        (line,) = (line for line in printed.splitlines() if line.startswith("certificate "))
        return bytes.fromhex(line.split()[1])

    device = NpmDevice.register(network.npm, network.gateway.edges, reissue=reissue)
    before = network.npm.describe_private_gateway(device.cargo_gateway)

    (cargo,) = device.collect_cargo()

    # The one that it reads, and that of the JVM library, which it skips.
    assert [(item.kind, item.accepted) for item in cargo.items] in (
        [("rotation", True), ("unreadable", None)],
        [("unreadable", None), ("rotation", True)],
    )
    after = network.npm.describe_private_gateway(device.cargo_gateway)
    assert before.certificate_der == device.private_gateway.certificate_der
    assert after.certificate_der == cargo.rotations[0].rotation.leaf_der  # type: ignore[union-attr]
    assert device.collect_cargo() == []


def test_cargo_is_split_where_couriers_need_it(network: Network) -> None:
    """Each delivery is small enough for an Android courier, which `collect_cargo` checks."""
    device, sender = network.register(), network.npm.generate_identity()
    authorized = device.authorize(sender)
    parcels = [device.make_parcel(authorized, 100_000) for _ in range(60)]
    for parcel in parcels:
        assert network.npm.deliver_parcel_pohttp(network.gateway.edges.pohttp_url, parcel.serialized) == 202

    cargoes = device.collect_cargo()

    assert len(cargoes) == 2
    assert {item.sha256 for cargo in cargoes for item in cargo.items} == {parcel.sha256 for parcel in parcels}


def test_authorization_serves_once(network: Network) -> None:
    device = network.register()
    deliver_from_the_internet(network, device, network.npm.generate_identity())
    cca = network.npm.make_cca(device.cargo_gateway)

    first = network.npm.collect_cargo(device.edges.cogrpc, cca)
    again = network.npm.collect_cargo(device.edges.cogrpc, cca)

    assert (len(first.cargoes), first.failure) == (1, None)
    assert again.cargoes == ()
    assert again.failure is not None
    assert again.failure.status == "PERMISSION_DENIED"


def test_courier_that_acknowledges_nothing_gets_the_cargo(network: Network) -> None:
    device = network.register()
    deliver_from_the_internet(network, device, network.npm.generate_identity())
    cca = network.npm.make_cca(device.cargo_gateway)

    collection = network.npm.collect_cargo(device.edges.cogrpc, cca, acknowledge=False)

    assert len(collection.cargoes) == 1


# ---------------------------------------------------------------- What the tests above share


def deliver_from_the_internet(network: Network, device: NpmDevice, sender: Identity) -> MadeParcel:
    parcel = device.make_parcel(device.authorize(sender))
    assert network.npm.deliver_parcel_pohttp(network.gateway.edges.pohttp_url, parcel.serialized) == 202
    return parcel


def collect_parcels(device: NpmDevice) -> list[ParsedParcel]:
    return [item.parcel for cargo in device.collect_cargo() for item in cargo.valid_parcels if item.parcel]


def collect_until(device: NpmDevice, is_met: Callable[[UnwrappedCargo], bool]) -> UnwrappedCargo:
    found: list[UnwrappedCargo] = []

    def look() -> bool:
        found[:] = [cargo for cargo in device.collect_cargo() if is_met(cargo)]
        return bool(found)

    wait_until(look)
    return found[0]


def wait_until(is_met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + FORGETTING_SECONDS
    while not is_met():
        assert time.monotonic() < deadline, f"Not within {FORGETTING_SECONDS} s"
        time.sleep(0.5)
