"""REDIS_URL as Celery wants it, who knows other forms than the channel layer does."""

import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit


def redis_broker_url(url: str) -> str:
    """The same server for Celery. What a URL of a socket says beyond the number of the database is left out."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    account = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{account}{parts.path}?virtual_host={database}"


def redis_tls(url: str) -> dict[str, Any] | None:
    """What Celery's connections ask of the server's certificate; None where they use no TLS."""
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} if url.startswith("rediss://") else None
