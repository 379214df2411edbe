"""The gateway's settings: read from environment variables here and nowhere else, and checked before anything starts."""

import base64
import binascii
import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import quote

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from awala.internet_address import is_publishable_address
from gateway.database_url import parse_database_url
from gateway.errors import UnsafeSettingError
from gateway.private_files import prepare_private_folder, read_or_create_secret

KEYSTORE_KEY_OCTETS = 32
DJANGO_SECRET_KEY_OCTETS = 48
MAX_THREADS = 64

_MAX_PORT = 65_535

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BindAddress(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _parse_bind(value: object) -> BindAddress:
    """Read `host:port`; an IPv6 address stands in brackets."""
    host, separator, port = str(value).rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:8080")
    if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
        raise ValueError("must be host:port, as in 127.0.0.1:8080")
    return BindAddress(host, int(port))


def _parse_address(value: object) -> str:
    address = str(value).lower()
    if not is_publishable_address(address):
        raise ValueError("must be a domain name of at least two labels of a-z, 0-9 and '-', as in gateway.example.com")
    return address


def _parse_overrides(value: object) -> dict[str, BindAddress]:
    """Read `address=host:port,...`."""
    overrides: dict[str, BindAddress] = {}
    for item in _split(value):
        address, separator, target = item.partition("=")
        if not separator:
            raise ValueError("must be address=host:port, with commas between, as in pong.example.com=127.0.0.1:8083")
        overrides[_parse_address(address)] = _parse_bind(target)
    return overrides


def _split(value: object) -> tuple[str, ...]:
    return tuple(item.strip() for item in str(value).split(",") if item.strip())


def _parse_networks(value: object) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(item) for item in _split(value))


def _lower(value: object) -> str:
    return str(value).lower()


Bind = Annotated[BindAddress, NoDecode, BeforeValidator(_parse_bind)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_parse_networks)]
Overrides = Annotated[dict[str, BindAddress], NoDecode, BeforeValidator(_parse_overrides)]
Threads = Annotated[int, Field(ge=1, le=MAX_THREADS)]


class Environment(BaseSettings):
    """Every setting, by the name of its environment variable in lower case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", validate_default=False)

    internet_address: Annotated[str, BeforeValidator(_parse_address)] = "gateway.example.com"
    internet_address_overrides: Overrides = {}
    doh_resolver_url: str = "https://cloudflare-dns.com/dns-query"

    gateway_data_dir: Path = Field(default_factory=lambda: Path("data").absolute())
    database_url: SecretStr = SecretStr("")
    redis_url: SecretStr = SecretStr("")
    object_store_backend: str = "filesystem"
    keystore_adapter: str = "database"
    keystore_key: SecretStr = SecretStr("")
    django_secret_key: SecretStr = SecretStr("")

    poweb_bind: Bind = BindAddress("127.0.0.1", 8080)
    pohttp_bind: Bind = BindAddress("127.0.0.1", 8081)
    cogrpc_bind: Bind = BindAddress("127.0.0.1", 8082)
    console_bind: Bind = BindAddress("127.0.0.1", 8000)

    # The console stays on loopback unless an operator says that something guards it.
    console_public: bool = False
    console_allowed_hosts: Names = ("localhost", "127.0.0.1", "[::1]")
    # Whether browsers reach the console over TLS, through a proxy: its cookies are then for TLS alone.
    console_use_tls: bool = False

    poweb_threads: Threads = 4
    # More than cores, since most of a parcel's time goes by while disks are flushed.
    pohttp_threads: Threads = 8
    console_threads: Threads = 2
    # Deployed JavaScript clients lose parcels that overtake one another (protocol section 0).
    max_parcels_in_flight: Annotated[int, Field(ge=1, le=5)] = 1
    pohttp_use_tls: bool = True

    # Couriers meet TLS here where these name PEM files; otherwise a proxy in front has to speak it.
    cogrpc_tls_certificate: Path | None = None
    cogrpc_tls_key: Path | None = None
    # As many as for PoHTTP, for the same reason.
    cogrpc_threads: Threads = 8
    cogrpc_max_streams: Annotated[int, Field(ge=1, le=1_000)] = 16
    cogrpc_max_calls: Annotated[int, Field(ge=1, le=10_000)] = 64
    cogrpc_max_metadata_octets: Annotated[int, Field(ge=8_192, le=65_536)] = 16_384
    cogrpc_max_connection_age_seconds: Annotated[int, Field(ge=10)] = 900
    cogrpc_max_connection_idle_seconds: Annotated[int, Field(ge=1)] = 60

    # How many parcels a worker delivers to the Internet at once, and how many of those to one address.
    delivery_threads: Threads = 8
    deliveries_per_destination: Threads = 4
    # A delivery takes three times as long at most, and a task ends after the one at hand, within what Celery allows it.
    delivery_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 10
    # Private, loopback and link-local addresses are refused, but for those in these networks.
    delivery_allowed_networks: Networks = ()
    # How many cargoes a worker unwraps at once.
    unwrapping_threads: Threads = 2

    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)] = "info"
    log_format: Annotated[Literal["", "json", "console"], BeforeValidator(_lower)] = ""
    request_id_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "X-Request-Id"
    metadata_retention_hours: Annotated[int, Field(ge=0, le=24 * 366)] = 72

    @field_validator("gateway_data_dir")
    @classmethod
    def _make_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return value

    @field_validator("object_store_backend")
    @classmethod
    def _check_object_store(cls, value: str) -> str:
        return _only("filesystem", value, later="s3")

    @field_validator("keystore_adapter")
    @classmethod
    def _check_keystore(cls, value: str) -> str:
        return _only("database", value, later="vault")

    @field_validator("keystore_key")
    @classmethod
    def _check_keystore_key(cls, value: SecretStr) -> SecretStr:
        _decode_key(value)
        return value

    @field_validator("django_secret_key")
    @classmethod
    def _check_secret_key(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < DJANGO_SECRET_KEY_OCTETS:
            raise ValueError(f"must have at least {DJANGO_SECRET_KEY_OCTETS} characters, at random")
        return value

    @field_validator("doh_resolver_url")
    @classmethod
    def _check_resolver(cls, value: str) -> str:
        # Answers are believed because the resolver validated them, so nobody on the way may change them.
        if not re.match(r"https://[^/]|http://(localhost|127\.0\.0\.1|\[::1\])[:/]", value):
            raise ValueError("must begin with https://")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if "internet_address" not in self.model_fields_set and not self.is_all_in_one:
            raise UnsafeSettingError("INTERNET_ADDRESS: required once DATABASE_URL or REDIS_URL names a server")
        if not self.console_bind.is_loopback and not self.console_public:
            raise UnsafeSettingError(
                f"CONSOLE_BIND: {self.console_bind} can be reached from other machines; keep the console on "
                "127.0.0.1, or set CONSOLE_PUBLIC=true once something guards it"
            )
        if (self.cogrpc_tls_certificate is None) != (self.cogrpc_tls_key is None):
            raise UnsafeSettingError("COGRPC_TLS_CERTIFICATE and COGRPC_TLS_KEY: set both or neither")
        _refuse_shared_ports(self)
        return self

    @property
    def is_all_in_one(self) -> bool:
        """Whether this process needs no other service: SQLite, and hints that stay in memory."""
        return self.database["ENGINE"].endswith("sqlite3") and not self.redis_url.get_secret_value()

    @property
    def database(self) -> dict[str, Any]:
        """The entry of Django's DATABASES."""
        url = self.database_url.get_secret_value() or f"sqlite:///{quote(str(self.gateway_data_dir))}/gateway.sqlite3"
        return parse_database_url(url)

    def load_keystore_key(self) -> bytes:
        """The key that encrypts the private keys in the database, from its file where the variable is not set."""
        if self.keystore_key.get_secret_value():
            return _decode_key(self.keystore_key)
        path = self.gateway_data_dir / "keystore.key"
        return read_or_create_secret(path, octets=KEYSTORE_KEY_OCTETS, variable="KEYSTORE_KEY")

    def load_django_secret_key(self) -> str:
        """The key that signs the console's sessions, from its file where the variable is not set."""
        if configured := self.django_secret_key.get_secret_value():
            return configured
        path = self.gateway_data_dir / "django-secret.key"
        return read_or_create_secret(path, octets=DJANGO_SECRET_KEY_OCTETS, variable="DJANGO_SECRET_KEY").hex()


def load_environment() -> Environment:
    """Read and check every variable; make the data folder. Raises `UnsafeSettingError`, whose message fits one line."""
    try:
        environment = Environment()
    except ValidationError as exc:
        problems = (
            f"{str(error['loc'][0]).upper()}: {error['msg'].removeprefix('Value error, ')}" for error in exc.errors()
        )
        # Without its cause, which quotes the values, and some of those are secrets.
        raise UnsafeSettingError("; ".join(problems)) from None
    prepare_private_folder(environment.gateway_data_dir, variable="GATEWAY_DATA_DIR")
    return environment


def _only(supported: str, value: str, *, later: str) -> str:
    if value == later:
        raise ValueError(f"{later} comes with a later release; use {supported}")
    if value != supported:
        raise ValueError(f"must be {supported}")
    return supported


def _decode_key(value: SecretStr) -> bytes:
    try:
        key = base64.b64decode(value.get_secret_value(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEYSTORE_KEY_OCTETS:
        raise ValueError(f"must be {KEYSTORE_KEY_OCTETS} octets at random, in base64")
    return key


def _refuse_shared_ports(environment: Environment) -> None:
    taken: dict[BindAddress, str] = {}
    for name in ("poweb_bind", "pohttp_bind", "cogrpc_bind", "console_bind"):
        bind = getattr(environment, name)
        other = taken.setdefault(bind, name)
        if other != name and bind.port:
            raise UnsafeSettingError(f"{name.upper()}: {bind} is taken by {other.upper()}")
