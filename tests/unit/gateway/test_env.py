import base64
import stat
from pathlib import Path

import pytest

from gateway.env import BindAddress, Environment, load_environment
from gateway.errors import UnsafeSettingError


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in which nothing is set but the data folder."""
    for name in Environment.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    folder = tmp_path / "data"
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(folder))
    return folder


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Environment:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_environment()


def test_nothing_need_be_set(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = load(monkeypatch)

    assert env.internet_address == "gateway.example.com"
    assert env.is_all_in_one
    assert env.database["NAME"] == data_dir / "gateway.sqlite3"
    assert env.poweb_bind == ("127.0.0.1", 8080)
    assert env.pohttp_bind == ("127.0.0.1", 8081)
    assert env.console_bind == ("127.0.0.1", 8000)
    assert env.max_parcels_in_flight == 1
    assert env.metadata_retention_hours == 72
    assert env.pohttp_use_tls


def test_data_folder_is_for_its_owner(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch)

    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_data_folder_may_hold_characters_that_urls_quote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a b%20#?"

    assert load(monkeypatch, GATEWAY_DATA_DIR=str(folder)).database["NAME"] == folder / "gateway.sqlite3"


def test_relative_data_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert load(monkeypatch, GATEWAY_DATA_DIR="./here").gateway_data_dir == tmp_path / "here"


def test_empty_variables_count_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, POWEB_BIND="", REDIS_URL="", KEYSTORE_KEY="").poweb_bind.port == 8080


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:80", ("0.0.0.0", 80)),  # noqa: S104
        ("localhost:8080", ("localhost", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
    ],
)
def test_bind_addresses_are_parsed(text: str, expected: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    bind = load(monkeypatch, POWEB_BIND=text).poweb_bind

    assert bind == expected
    assert str(bind) == text


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "localhost", "localhost:", "localhost:65536", "::1:80", "a:-1", "a:²"]
)
def test_bad_bind_addresses_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsafeSettingError, match=r"^POWEB_BIND: "):
        load(monkeypatch, POWEB_BIND=text)


def test_two_servers_on_one_port_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsafeSettingError, match=r"^POHTTP_BIND: .* POWEB_BIND"):
        load(monkeypatch, POWEB_BIND="127.0.0.1:9000", POHTTP_BIND="127.0.0.1:9000")


def test_ports_chosen_by_the_system_do_not_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, POWEB_BIND="127.0.0.1:0", POHTTP_BIND="127.0.0.1:0").pohttp_bind.port == 0


@pytest.mark.parametrize(
    "address",
    ["gateway.example.com", "a.io", "frankfurt.relaycorp.cloud", "x--y.example", "example.xn--p1ai", "1.2.example"],
)
def test_internet_addresses_are_accepted(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, INTERNET_ADDRESS=address).internet_address == address


def test_internet_address_is_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, INTERNET_ADDRESS="Gateway.Example.COM").internet_address == "gateway.example.com"


@pytest.mark.parametrize(
    "address",
    [
        "localhost",  # A single label.
        "example.com.",
        "a_b.example.com",
        "-a.example.com",
        "a-.example.com",
        "a..example.com",
        "192.0.2.1",
        "example.c",
        "example.com:443",
        "https://example.com",
        "*.example.com",
        "exämple.com",
        "example.com\n",
        f"{'a' * 64}.example.com",
        f"{'a.' * 62}example",
    ],
)
def test_internet_addresses_that_clients_refuse_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsafeSettingError, match=r"^INTERNET_ADDRESS: "):
        load(monkeypatch, INTERNET_ADDRESS=address)


@pytest.mark.parametrize(
    "variables", [{"REDIS_URL": "redis://localhost"}, {"DATABASE_URL": "postgresql://db.example/gateway"}]
)
def test_internet_address_is_required_outside_development(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnsafeSettingError, match=r"^INTERNET_ADDRESS: "):
        load(monkeypatch, **variables)

    assert not load(monkeypatch, INTERNET_ADDRESS="a.example.com", **variables).is_all_in_one


def test_overrides_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    env = load(monkeypatch, INTERNET_ADDRESS_OVERRIDES="pong.example.com=127.0.0.1:8083, B.example.com=[::1]:1,")

    assert env.internet_address_overrides == {
        "pong.example.com": BindAddress("127.0.0.1", 8083),
        "b.example.com": BindAddress("::1", 1),
    }


@pytest.mark.parametrize("text", ["pong.example.com", "pong.example.com=here", "pong=127.0.0.1:1"])
def test_bad_overrides_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsafeSettingError, match=r"^INTERNET_ADDRESS_OVERRIDES: "):
        load(monkeypatch, INTERNET_ADDRESS_OVERRIDES=text)


@pytest.mark.parametrize("bind", ["0.0.0.0:8000", "192.0.2.1:8000", "[::]:8000", "console.example.com:8000"])
def test_console_stays_on_loopback_unless_said_otherwise(bind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsafeSettingError, match=r"^CONSOLE_BIND: .*CONSOLE_PUBLIC"):
        load(monkeypatch, CONSOLE_BIND=bind)

    assert load(monkeypatch, CONSOLE_BIND=bind, CONSOLE_PUBLIC="true").console_bind.port == 8000


@pytest.mark.parametrize("bind", ["127.0.0.9:8000", "[::1]:8000", "localhost:8000"])
def test_console_may_be_on_any_loopback_address(bind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, CONSOLE_BIND=bind).console_bind.is_loopback


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OBJECT_STORE_BACKEND", "s3", "later release"),
        ("OBJECT_STORE_BACKEND", "tape", "must be filesystem"),
        ("KEYSTORE_ADAPTER", "vault", "later release"),
        ("KEYSTORE_ADAPTER", "paper", "must be database"),
        ("DATABASE_URL", "mongodb://db.example/gateway", "later release"),
        ("REDIS_URL", "http://localhost", "redis://"),
        ("DOH_RESOLVER_URL", "http://resolver.example/dns-query", "https://"),
        ("MAX_PARCELS_IN_FLIGHT", "0", "greater than or equal to 1"),
        ("MAX_PARCELS_IN_FLIGHT", "6", "less than or equal to 5"),
        ("POWEB_THREADS", "0", "greater than or equal to 1"),
        ("METADATA_RETENTION_HOURS", "-1", "greater than or equal to 0"),
        ("LOG_LEVEL", "loud", "'info'"),
        ("LOG_FORMAT", "xml", "'json'"),
        ("REQUEST_ID_HEADER", "X Request", "pattern"),
        ("POHTTP_USE_TLS", "perhaps", "boolean"),
        ("KEYSTORE_KEY", "c2hvcnQ=", "32 octets"),
        ("KEYSTORE_KEY", "not base64!", "32 octets"),
        ("DJANGO_SECRET_KEY", "short", "48 characters"),
    ],
)
def test_bad_values_stop_the_start(name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsafeSettingError) as refusal:
        load(monkeypatch, **{name: value})

    assert str(refusal.value).startswith(f"{name}: ")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_refusal_never_quotes_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsafeSettingError) as refusal:
        load(monkeypatch, KEYSTORE_KEY="hunter2", DJANGO_SECRET_KEY="swordfish")

    assert "hunter2" not in str(refusal.value)
    assert "swordfish" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_representation_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    env = load(
        monkeypatch,
        INTERNET_ADDRESS="a.example.com",
        DATABASE_URL="postgresql://user:hunter2@db.example/gateway",
        REDIS_URL="redis://:hunter2@localhost",
        DJANGO_SECRET_KEY="hunter2" * 10,
    )

    assert "hunter2" not in repr(env)


def test_settings_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(monkeypatch).poweb_threads = 9  # type: ignore[misc]


def test_local_resolver_may_do_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:8053/dns-query"

    assert load(monkeypatch, DOH_RESOLVER_URL=url).doh_resolver_url == url


def test_supported_backends_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    env = load(monkeypatch, OBJECT_STORE_BACKEND="filesystem", KEYSTORE_ADAPTER="database")

    assert (env.object_store_backend, env.keystore_adapter) == ("filesystem", "database")


def test_console_hosts_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    env = load(monkeypatch, CONSOLE_ALLOWED_HOSTS="console.example.com, localhost")

    assert env.console_allowed_hosts == ("console.example.com", "localhost")


def test_levels_may_be_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, LOG_LEVEL="DEBUG", LOG_FORMAT="JSON").log_level == "debug"


def test_keystore_key_comes_from_its_variable(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = load(monkeypatch, KEYSTORE_KEY=base64.b64encode(bytes(range(32))).decode())

    assert env.load_keystore_key() == bytes(range(32))
    assert not list(data_dir.iterdir())


def test_keystore_key_is_made_once(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = load(monkeypatch).load_keystore_key()

    assert len(key) == 32
    assert load_environment().load_keystore_key() == key
    assert stat.S_IMODE((data_dir / "keystore.key").stat().st_mode) == 0o600


def test_key_file_that_others_may_read_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = load(monkeypatch)
    env.load_keystore_key()
    (data_dir / "keystore.key").chmod(0o640)

    with pytest.raises(UnsafeSettingError, match=r"^KEYSTORE_KEY: .*chmod 600"):
        env.load_keystore_key()


def test_django_secret_comes_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, DJANGO_SECRET_KEY="s" * 50).load_django_secret_key() == "s" * 50


def test_django_secret_is_made_once(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = load(monkeypatch).load_django_secret_key()

    assert len(secret) >= 50
    assert load_environment().load_django_secret_key() == secret
    assert stat.S_IMODE((data_dir / "django-secret.key").stat().st_mode) == 0o600


def test_delivery_that_would_outlast_its_task_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, DELIVERY_TIMEOUT_SECONDS="30").delivery_timeout_seconds == 30
    with pytest.raises(UnsafeSettingError, match="DELIVERY_TIMEOUT_SECONDS"):
        load(monkeypatch, DELIVERY_TIMEOUT_SECONDS="30.1")
