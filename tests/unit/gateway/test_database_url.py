from pathlib import Path

import pytest
from django.db import connection

from gateway.database_url import parse_database_url
from gateway.errors import UnsafeSettingError


def test_sqlite_takes_an_absolute_path() -> None:
    assert parse_database_url("sqlite:////var/lib/a%20b.sqlite3")["NAME"] == Path("/var/lib/a b.sqlite3")


def test_sqlite_takes_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert parse_database_url("sqlite:///gateway.sqlite3")["NAME"] == tmp_path / "gateway.sqlite3"


def test_sqlite_transactions_begin_as_writers() -> None:
    options = parse_database_url("sqlite:////a")["OPTIONS"]

    assert options["transaction_mode"] == "IMMEDIATE"
    assert options["timeout"] < 5


@pytest.mark.django_db
@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
def test_sqlite_connections_are_durable(pragma: str, value: object) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite only")
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {pragma}")

        assert cursor.fetchone() == (value,)


def test_connections_are_kept_and_checked() -> None:
    for url in ("sqlite:////a", "postgresql:///gateway"):
        database = parse_database_url(url)
        assert database["CONN_MAX_AGE"] is None
        assert database["CONN_HEALTH_CHECKS"] is True


def test_postgresql_parts_are_unquoted() -> None:
    database = parse_database_url("postgresql://us%40er:pa%2Fss@db.example:5433/gate%20way")

    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["USER"], database["PASSWORD"]) == ("us@er", "pa/ss")
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", "5433", "gate way")


def test_postgresql_has_time_limits_and_stays_durable() -> None:
    options = parse_database_url("postgres://db.example/gateway")["OPTIONS"]

    assert options["connect_timeout"] == 3
    assert "statement_timeout=4000" in options["options"]
    assert "lock_timeout=3000" in options["options"]
    assert "synchronous_commit" not in options["options"]


def test_postgresql_options_may_be_given_in_the_url() -> None:
    options = parse_database_url("postgresql://db.example/gateway?sslmode=verify-full&connect_timeout=1")["OPTIONS"]

    assert options["sslmode"] == "verify-full"
    assert options["connect_timeout"] == "1"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://host/file",
        "postgresql://db.example",
        "postgresql://db.example:port/gateway",
        "postgresql://[db/gateway",
        "mysql://db.example/gateway",
        "mongodb://db.example/gateway",
        "mongodb+srv://db.example/gateway",
        "gateway.sqlite3",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UnsafeSettingError, match=r"^DATABASE_URL: "):
        parse_database_url(url)


def test_refusal_does_not_quote_the_password() -> None:
    with pytest.raises(UnsafeSettingError) as refusal:
        parse_database_url("postgresql://user:hunter2@db.example:port/gateway")

    assert "hunter2" not in str(refusal.value)
