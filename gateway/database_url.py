"""Reads DATABASE_URL into the form that Django wants, with the time limits and durability our promises need."""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from gateway.errors import UnsafeSettingError

# Clients give up on a request after 5 s (protocol: JavaScript clients); a writer must have failed by then,
# so that they hear "unavailable" rather than nothing.
SQLITE_BUSY_SECONDS = 3

# Set on each new connection. FULL makes each commit wait for stable storage, which WAL alone does not.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL; "
    "PRAGMA synchronous = FULL; "
    "PRAGMA temp_store = MEMORY; "
    "PRAGMA cache_size = -8000; "  # KiB, per connection.
    "PRAGMA journal_size_limit = 67108864"  # The WAL shrinks back to 64 MiB after a burst.
)

# synchronous_commit stays as the server has it (on): turning it off would lose what was answered 202.
POSTGRESQL_OPTIONS: dict[str, Any] = {
    "connect_timeout": 3,
    # A server that vanished without a word is noticed in seconds rather than after the kernel's 15 minutes.
    "keepalives_idle": 10,
    "tcp_user_timeout": 4_000,
    "options": "-c statement_timeout=4000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000",
}


def parse_database_url(url: str) -> dict[str, Any]:
    """The entry of Django's DATABASES for the URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # Parsed only when asked for.
    except ValueError as exc:
        raise UnsafeSettingError("DATABASE_URL: this is not a URL") from exc
    match parts.scheme:
        case "sqlite":
            database = _sqlite(parts)
        case "postgresql" | "postgres":
            database = _postgresql(parts)
        case "mongodb" | "mongodb+srv":
            raise UnsafeSettingError("DATABASE_URL: MongoDB comes with a later release; use sqlite:// or postgresql://")
        case _:
            raise UnsafeSettingError("DATABASE_URL: must begin with sqlite:// or postgresql://")
    # The servers' threads live long and keep their connection; each is checked before a request uses it.
    return database | {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}


def _sqlite(parts: SplitResult) -> dict[str, Any]:
    # As elsewhere: three slashes before a relative path, four before an absolute one.
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or not path or path == ":memory:":
        raise UnsafeSettingError("DATABASE_URL: SQLite needs a file, as in sqlite:////var/lib/gateway.sqlite3")
    file = Path(path).absolute()
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "OPTIONS": {
            # A transaction that becomes a writer halfway fails at once under concurrency, without waiting.
            "transaction_mode": "IMMEDIATE",
            "timeout": SQLITE_BUSY_SECONDS,
            "init_command": SQLITE_PRAGMAS,
        },
        # A file rather than Django's shared memory, so that tests meet the locks that production meets.
        "TEST": {"NAME": file.with_name(f"test-{file.name}")},
    }


def _postgresql(parts: SplitResult) -> dict[str, Any]:
    name = unquote(parts.path).removeprefix("/")
    if not name:
        raise UnsafeSettingError("DATABASE_URL: must name a database, as in postgresql://user@host/gateway")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        # What the URL says wins, such as sslmode=verify-full.
        "OPTIONS": POSTGRESQL_OPTIONS | dict(parse_qsl(parts.query)),
    }
