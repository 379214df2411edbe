"""Delivery of parcels to whatever Internet addresses they name (RS-007), safe to point at addresses of strangers."""

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from time import monotonic
from typing import Final

import httpx

from awala.addressing import PDC_SERVICE, order_targets
from awala.clients.connections import Connections, Deadline, trust_system_resolver
from awala.clients.doh import FALLBACK_PORT, DoHResolver
from awala.clients.errors import ConnectionFailedError, ForbiddenTargetError, MissingServiceError, ResolutionError
from awala.clients.http import Answer, check_url
from awala.clients.networks import Network, NetworkRules, read_literal
from awala.clients.pohttp import post_parcel
from awala.errors import InvalidArgumentError

# Room for finding, connecting, sending and waiting; whoever needs longer holds others up.
DEADLINE_FACTOR: Final = 3
UNREACHABLE_SECONDS: Final = 60
_PLAIN_FALLBACK_PORT = 80
_MAX_UNREACHABLE = 1_024


class ParcelDeliverer:
    """Delivers parcels over connections that it keeps; to be closed. Several threads may use it.

    ``resolver_url`` is that of a DNS over HTTPS resolver which validates DNSSEC. ``timeout_seconds`` is for each read
    and write; a delivery as a whole gets three times as long. ``overrides`` says where the servers of some Internet
    addresses are, without asking DNS: those are trusted, so they may be on loopback. All other servers are refused if
    their IP address is not one of the public Internet, unless it is in ``allowed_networks``. Without ``use_tls``
    parcels go over plain HTTP. At most ``max_connections`` are in use, and as many are kept idle: further deliveries
    wait for one, in no particular order, so there should be one for each thread at least.

    :raises InvalidArgumentError: if ``resolver_url`` is none of HTTP or HTTPS
    """

    def __init__(
        self,
        *,
        resolver_url: str,
        use_tls: bool = True,
        timeout_seconds: float = 10,
        overrides: Mapping[str, tuple[str, int]] | None = None,
        allowed_networks: Iterable[Network | str] = (),
        max_connections: int = 16,
    ) -> None:
        self._scheme = "https" if use_tls else "http"
        self._fallback_port = FALLBACK_PORT if use_tls else _PLAIN_FALLBACK_PORT
        self._timeout_seconds = timeout_seconds
        self._overrides = {_normalize(address): target for address, target in (overrides or {}).items()}
        self._rules = NetworkRules(allowed_networks)
        self._unreachable = _UnreachableTargets()
        self._resolver = DoHResolver(resolver_url, timeout_seconds=timeout_seconds, max_connections=max_connections)
        connect = partial(Connections, timeout_seconds=timeout_seconds, max_connections=max_connections)
        self._connections = connect(find_addresses=self._find_permitted)
        # Apart, so that nobody can be redirected to a connection that was opened on trust.
        self._trusted_connections = connect(find_addresses=trust_system_resolver)

    def close(self) -> None:
        """Close all connections; deliveries under way fail."""
        for closable in (self._connections, self._trusted_connections, self._resolver):
            closable.close()

    def deliver(self, internet_address: str, parcel_serialized: bytes) -> None:
        """Deliver a parcel to an Internet address; when this returns, the server there has taken it over.

        The servers of the address are tried one after the other, until one can be connected to.

        :raises RefusedParcelError: if the server will never accept the parcel, which may then be deleted
        :raises ResolutionError: if DNS does not say, or not securely, where to deliver
        :raises ConnectionFailedError: if no server can be connected to, or none may be
        :raises ServerUnavailableError: if the server does not answer in time, or does not take parcels now
        :raises InvalidAnswerError: if the answer, or a redirect, makes no sense
        """
        deadline = Deadline(DEADLINE_FACTOR * self._timeout_seconds)
        if override := self._overrides.get(_normalize(internet_address)):
            self._post(override, parcel_serialized, deadline, is_trusted=True)
            return
        failure: ConnectionFailedError = MissingServiceError(f"{internet_address} takes no parcels")
        for server in self._find_targets(internet_address, deadline):
            try:
                self._post(server, parcel_serialized, deadline, is_trusted=False)
            except ConnectionFailedError as error:
                failure = error
            else:
                return
        raise failure

    def _find_targets(self, internet_address: str, deadline: Deadline) -> list[tuple[str, int]]:
        records = self._resolver.resolve_service(
            internet_address, PDC_SERVICE, deadline, fallback_port=self._fallback_port
        )
        targets = [(record.target, record.port) for record in order_targets(records, _draw)]
        # Each that does not answer costs a time limit, so those that just did not come last.
        return sorted(targets, key=lambda target: target in self._unreachable)

    def _post(self, server: tuple[str, int], parcel_serialized: bytes, deadline: Deadline, *, is_trusted: bool) -> None:
        url = _make_url(self._scheme, *server)
        trusted_origin = _origin(url) if is_trusted else None

        def post(target: str, headers: Mapping[str, str]) -> Answer:
            trusted = _origin(target) == trusted_origin
            connections = self._trusted_connections if trusted else self._connections
            try:
                return connections.post(target, parcel_serialized, headers, deadline)
            except (ResolutionError, ForbiddenTargetError):
                raise
            except ConnectionFailedError:
                # A redirect elsewhere, or time that others used up, says nothing of this server.
                if _origin(target) == _origin(url) and not deadline.has_passed:
                    self._unreachable.add(*server)
                raise

        post_parcel(url, post)

    def _find_permitted(self, host: str, deadline: Deadline) -> Iterator[str]:
        literal = read_literal(host)
        is_permitted = False
        for address in self._resolver.resolve_host(host, deadline) if literal is None else (literal,):
            if self._rules.permit(address):
                is_permitted = True
                yield str(address)
        if not is_permitted:
            # Without the address, which is no business of whoever named the host.
            raise ForbiddenTargetError(f"{host} is in a network that parcels may not be sent to")


class _UnreachableTargets:
    """Where nobody could be connected to a short while ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[tuple[str, int], float] = {}

    def __contains__(self, target: tuple[str, int]) -> bool:
        return self._until.get(target, 0.0) > monotonic()

    def add(self, host: str, port: int) -> None:
        with self._lock:
            self._until.pop((host, port), None)
            self._until[host, port] = monotonic() + UNREACHABLE_SECONDS
            if len(self._until) > _MAX_UNREACHABLE:
                del self._until[next(iter(self._until))]


def _draw(highest: int) -> int:
    return secrets.randbelow(highest + 1)


def _normalize(internet_address: str) -> str:
    return internet_address.rstrip(".").lower()


def _make_url(scheme: str, host: str, port: int) -> str:
    try:
        return check_url(f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/")
    except InvalidArgumentError as error:
        # Such as 999.1.1.1, which DNS takes for a name.
        raise ConnectionFailedError(f"No host name or address: {host!r}") from error


def _origin(url: str) -> tuple[bytes, bytes, int | None]:
    # Read as the connections read it, so that both understand the same.
    parts = httpx.URL(url)
    return parts.raw_scheme, parts.raw_host, parts.port
