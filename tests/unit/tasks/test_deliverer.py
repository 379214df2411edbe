import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_django import Settings

from awala.clients.errors import ConnectionFailedError, FailedResolutionError
from gateway.env import BindAddress
from tasks.deliverer import close_deliverer, get_deliverer
from tests.unit.awala.clients.http_server import Reply, serve

NO_RESOLVER = "http://127.0.0.1:1/"


@pytest.fixture(autouse=True)
def _own_deliverer(settings: Settings) -> Iterator[None]:
    close_deliverer()
    settings.DOH_RESOLVER_URL = NO_RESOLVER
    settings.POHTTP_USE_TLS = False
    yield
    close_deliverer()


def test_threads_share_one() -> None:
    with ThreadPoolExecutor(4) as executor:
        deliverers = set(executor.map(lambda _: get_deliverer(), range(16)))
    assert deliverers == {get_deliverer()}


def test_another_one_after_it_was_closed() -> None:
    deliverer = get_deliverer()
    close_deliverer()
    assert get_deliverer() is not deliverer


def test_forked_process_has_its_own() -> None:
    deliverer = get_deliverer()
    child = os.fork()
    if child == 0:
        # No cleaning up in the child: it is a copy of the process that runs the tests.
        os._exit(0 if get_deliverer() is not deliverer else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert get_deliverer() is deliverer


def test_overrides_of_the_settings(settings: Settings) -> None:
    with serve(lambda _: Reply(status=202)) as server:
        port = int(server.url.split(":")[2].strip("/"))
        settings.INTERNET_ADDRESS_OVERRIDES = {"pong.example.com": BindAddress("127.0.0.1", port)}
        get_deliverer().deliver("pong.example.com", b"parcel")
        # The server takes its time to end a connection that stays open.
        close_deliverer()
    assert [request.body for request in server.requests] == [b"parcel"]


def test_resolver_of_the_settings() -> None:
    with pytest.raises(FailedResolutionError, match=r"127\.0\.0\.1 on port 1"):
        get_deliverer().deliver("pong.example.com", b"parcel")


def test_tls_of_the_settings(settings: Settings) -> None:
    settings.POHTTP_USE_TLS = True
    with serve(lambda _: Reply(status=202)) as server:
        port = int(server.url.split(":")[2].strip("/"))
        settings.INTERNET_ADDRESS_OVERRIDES = {"pong.example.com": BindAddress("127.0.0.1", port)}
        with pytest.raises(ConnectionFailedError, match="TLS"):
            get_deliverer().deliver("pong.example.com", b"parcel")
    assert not server.requests
