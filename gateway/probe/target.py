"""What is probed: where a gateway serves, and where it will find the endpoint that the probe plays."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from awala.clients.http import check_url
from awala.errors import InvalidArgumentError
from awala.internet_address import is_publishable_address


@dataclass(frozen=True, kw_only=True)
class PongPlace:
    """The Internet address of the pong endpoint, and where its parcels come in. Raises `InvalidArgumentError`."""

    internet_address: str
    host: str
    port: int

    def __post_init__(self) -> None:
        if not is_publishable_address(self.internet_address):
            raise InvalidArgumentError(f"Not an Internet address: {self.internet_address!r}")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.internet_address}, at {host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Target:
    """The gateway to probe. The timeout is for each exchange with it. Raises `InvalidArgumentError`."""

    poweb_url: str
    pohttp_url: str
    cogrpc_url: str
    # Without it nothing is played for which the gateway has to reach the probe.
    pong: PongPlace | None = None
    timeout_seconds: float = 10

    def __post_init__(self) -> None:
        for url in (self.poweb_url, self.pohttp_url, self.cogrpc_url):
            check_url(url)

    @property
    def cogrpc_address(self) -> str:
        """As host:port, which is how gRPC names servers."""
        parts = urlsplit(self.cogrpc_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or (443 if self.uses_tls_for_cogrpc else 80)}"

    @property
    def uses_tls_for_cogrpc(self) -> bool:
        return urlsplit(self.cogrpc_url).scheme == "https"
