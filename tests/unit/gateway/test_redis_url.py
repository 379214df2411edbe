import ssl

import pytest

from gateway.redis_url import redis_broker_url, redis_tls


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://:secret@redis.example.com/1", "rediss://:secret@redis.example.com/1"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix://user:secret@/run/redis.sock", "redis+socket://user:secret@/run/redis.sock?virtual_host=0"),
    ],
)
def test_url_names_the_same_server(given: str, expected: str) -> None:
    assert redis_broker_url(given) == expected


def test_certificates_are_checked_where_there_is_tls() -> None:
    assert redis_tls("rediss://redis.example.com") == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert redis_tls("redis://redis.example.com") is None
