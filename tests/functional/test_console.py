"""The console in a real browser: what an operator sees of what the network has done."""

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.functional.browser import Scheme, WatchedPage, start_browser
from tests.functional.collector import CLOSE_UPON_COMPLETION, Collector, drain_queue
from tests.functional.courier_rows import (
    add_destination,
    add_incoming_cargo,
    add_outgoing_parcel,
    add_rows_of_each_kind,
)
from tests.functional.exchange import Response, exchange
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway, deliver_pohttp, make_internet_parcel
from tests.functional.record import rows_of

pytestmark = [pytest.mark.functional, pytest.mark.browser]

# Where the pictures of the documentation go, when they are made anew.
PICTURES = os.environ.get("CONSOLE_PICTURES")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("console") / "data") as process:
        yield process


@pytest.fixture(scope="module")
def password(console: GatewayProcess) -> str:
    """As the command printed it."""
    found = re.search(r"Sign in as admin with the password (\w+)", console.log)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


@pytest.fixture
def visitor(browser: Browser, console: GatewayProcess) -> Iterator[WatchedPage]:
    """Somebody who has not signed in."""
    watched = WatchedPage(browser, console.console_url)
    yield watched
    watched.close()


@pytest.fixture
def operator(visitor: WatchedPage, password: str) -> Iterator[WatchedPage]:
    """Somebody who has, and whose pages must neither complain nor fetch anything from elsewhere."""
    visitor.sign_in(password)
    yield visitor
    assert visitor.complaints == []


def get(process: GatewayProcess, path: str) -> Response:
    return exchange("GET", f"{process.console_url}{path}")


def read_metrics(process: GatewayProcess) -> dict[str, float]:
    lines = get(process, "/metrics").body.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_operator_signs_in_with_the_printed_password(operator: WatchedPage, console: GatewayProcess) -> None:
    expect(operator.page).to_have_url(f"{console.console_url}/admin/")
    expect(operator.page.locator(".health")).to_contain_text("Session key")
    assert (console.data_dir / "admin-password").read_text().strip() in console.log


def test_wrong_password_is_refused(visitor: WatchedPage) -> None:
    visitor.sign_in("wrong")
    expect(visitor.page.locator(".errornote")).to_contain_text("correct username and password")
    visitor.page.goto("/admin/gateway/peer/")
    expect(visitor.page).to_have_url(re.compile("/admin/login/"))


def test_stored_parcel_is_shown(operator: WatchedPage, console: GatewayProcess) -> None:
    peer = PrivateGateway.register(console)
    parcel = peer.make_parcel(os.urandom(2_000))
    assert deliver_pohttp(console, parcel.serialized).status == 202

    page = operator.page
    page.goto("/admin/gateway/storedparcel/")
    page.fill("#searchbar", peer.node_id)
    page.click("#changelist-search input[type=submit]")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list tbody tr")).to_contain_text("queued")

    page.click("#result_list tbody th a")
    expect(page.locator(".field-recipient_id")).to_contain_text(peer.chain.endpoint.node_id)
    expect(page.locator("#content input:visible")).to_have_count(0)

    page.click(f"a[href*='{peer.node_id}']")
    expect(page.locator("#content")).to_contain_text(peer.node_id)
    page.click(".object-tools >> text=Events")
    expect(page.locator("#result_list")).to_contain_text("Peer registered")


def test_parcel_is_found_by_the_id_that_its_sender_gave_it(operator: WatchedPage, console: GatewayProcess) -> None:
    peer = PrivateGateway.register(console)
    parcel = peer.make_parcel()
    assert deliver_pohttp(console, parcel.serialized).status == 202

    operator.page.goto(f"/admin/gateway/storedparcel/?q={parcel.id}")
    expect(operator.page.locator("#result_list tbody tr")).to_have_count(1)


def test_key_pages_show_no_keys(operator: WatchedPage, console: GatewayProcess) -> None:
    with closing(sqlite3.connect(console.database_path)) as database:
        sealed: list[bytes] = [row[0] for row in database.execute("SELECT sealed FROM gateway_storedkey")]
    page = operator.page
    page.goto("/admin/gateway/storedkey/")
    listed = page.content()
    page.click("#result_list tbody th a")
    for octets in sealed:
        for shown in (listed, page.content()):
            assert octets.hex() not in shown
            assert "sealed" not in shown


def test_operator_signs_out(operator: WatchedPage) -> None:
    operator.page.click("#logout-form button")
    operator.page.goto("/admin/")
    expect(operator.page).to_have_url(re.compile("/admin/login/"))


def test_locked_database_is_told_to_probes(console: GatewayProcess) -> None:
    with closing(sqlite3.connect(console.database_path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        started_at = time.monotonic()
        answer = get(console, "/readyz")
        took = time.monotonic() - started_at
        alive = get(console, "/livez")
        database.execute("ROLLBACK")
    assert answer.status == 503
    statuses = {name: check["status"] for name, check in json.loads(answer.body)["checks"].items()}
    assert statuses == {
        "database": "failed",
        "storage": "ok",
        "identity": "ok",
        "own_certificate": "ok",
        "session_key": "ok",
        "upkeep": "ok",
        "queues": "ok",
    }
    assert took < 3
    assert alive.status == 200
    wait_until_ready(console)


def wait_until_ready(process: GatewayProcess) -> None:
    """The check that failed may still run for a second."""
    deadline = time.monotonic() + 10
    while get(process, "/readyz").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def read_metrics_counted_after_now(process: GatewayProcess) -> dict[str, float]:
    """A count serves for two seconds, or longer where counting was slow: ask until a new peer is among the counted."""
    peers = read_metrics(process)["gateway_peers"]
    PrivateGateway.register(process)
    deadline = time.monotonic() + 30
    while (metrics := read_metrics(process))["gateway_peers"] <= peers:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return metrics


def test_metrics_follow_parcels(console: GatewayProcess) -> None:
    peer = PrivateGateway.register(console)
    parcel = peer.make_parcel()
    before = read_metrics_counted_after_now(console)
    assert deliver_pohttp(console, parcel.serialized).status == 202
    assert deliver_pohttp(console, b"not a parcel").status == 400
    assert peer.deliver(peer.make_parcel()).status == 202
    after = read_metrics_counted_after_now(console)

    def grown(name: str) -> float:
        return after[name] - before[name]

    assert grown("gateway_queued_parcels") == 2
    assert grown("gateway_queued_bytes") > len(parcel.serialized)
    assert grown('gateway_parcels_total{edge="pohttp",outcome="accepted"}') == 1
    assert grown('gateway_parcels_total{edge="pohttp",outcome="refused"}') == 1
    assert grown('gateway_parcels_total{edge="poweb",outcome="accepted"}') == 1
    assert after["gateway_record_up"] == 1
    assert after["gateway_queued_oldest_age_seconds"] > 0
    assert after["gateway_own_certificate_expiry_timestamp_seconds"] > time.time()

    with Collector(console.collection_url, peer, mode=CLOSE_UPON_COMPLETION) as collector:
        collector.receive()
        assert read_metrics(console)["gateway_collections_open"] == 1
    drain_queue(console.collection_url, peer)
    collected = 'gateway_parcels_total{edge="poweb",outcome="collected"}'
    assert read_metrics(console)[collected] - after[collected] == 2


@pytest.fixture(scope="module")
def busy_console(console: GatewayProcess) -> GatewayProcess:
    """One with something on every page."""
    for size in (300, 40_000, 2_000_000):
        peer = PrivateGateway.register(console)
        for _ in range(3):
            assert deliver_pohttp(console, peer.make_parcel(os.urandom(size)).serialized).status == 202
        assert peer.deliver(make_internet_parcel()).status == 202
        if size == 300:
            drain_queue(console.collection_url, peer)
    add_rows_of_each_kind(console)
    return console


def choose(operator: WatchedPage, action: str) -> None:
    """Choose all rows of a list and an action, and have it done."""
    page = operator.page
    page.check("#action-toggle")
    page.select_option("select[name=action]", action)
    with page.expect_navigation():
        page.click("button[name=index]")


def test_operator_holds_a_parcel_and_releases_it(operator: WatchedPage, console: GatewayProcess) -> None:
    parcel_id = add_outgoing_parcel(console, "held.example.org")
    page = operator.page
    page.goto("/admin/gateway/outgoingparcel/?q=held.example.org")

    choose(operator, "hold")
    expect(page.locator(".messagelist")).to_contain_text("1 outgoing parcel held.")
    expect(page.locator("#result_list .field-state")).to_have_text("held")
    assert rows_of(console, "outgoingparcel", id=parcel_id.hex)[0]["state"] == "held"

    choose(operator, "hold")
    expect(page.locator(".messagelist")).to_contain_text("1 outgoing parcel left unchanged.")

    choose(operator, "release")
    expect(page.locator(".messagelist")).to_contain_text("1 outgoing parcel released.")

    # What became of it once it was released is an event of its own: it has no object.
    page.goto(f"/admin/gateway/event/?q={parcel_id}")
    expect(page.locator("#result_list tbody tr").filter(has_text="by admin")).to_have_count(2)


def test_operator_pauses_a_destination_and_resumes_it(operator: WatchedPage, console: GatewayProcess) -> None:
    add_destination(console, "flood.example.org", "closed")
    page = operator.page
    page.goto("/admin/gateway/destination/?q=flood.example.org")

    choose(operator, "pause")
    expect(page.locator("#result_list .field-is_paused")).to_have_text("paused")
    assert rows_of(console, "destination", internet_address="flood.example.org")[0]["is_paused"]

    choose(operator, "resume")
    expect(page.locator("#result_list .field-is_paused")).to_have_text("no")
    assert not rows_of(console, "destination", internet_address="flood.example.org")[0]["is_paused"]


def test_operator_has_invalid_cargo_unwrapped_again(operator: WatchedPage, console: GatewayProcess) -> None:
    cargo_id = add_incoming_cargo(console, "invalid", last_error="Content cannot be decrypted")
    page = operator.page
    page.goto(f"/admin/gateway/incomingcargo/?q={cargo_id}")
    expect(page.locator("#result_list .field-last_error")).to_have_text("Content cannot be decrypted")

    choose(operator, "unwrap_again")
    expect(page.locator(".messagelist")).to_contain_text("1 incoming cargo to be unwrapped again.")


PAGES = {
    "overview": "/admin/",
    "peers": "/admin/gateway/peer/",
    "stored-parcels": "/admin/gateway/storedparcel/",
    "outgoing-parcels": "/admin/gateway/outgoingparcel/",
    "destinations": "/admin/gateway/destination/",
    "incoming-cargo": "/admin/gateway/incomingcargo/",
    "cargo-collections": "/admin/gateway/cargocollection/",
    "upkeep": "/admin/gateway/maintenancejob/",
    "parcel-records": "/admin/gateway/parcelrecord/",
    "events": "/admin/gateway/event/",
    "own-certificates": "/admin/gateway/owncertificate/",
    "private-keys": "/admin/gateway/storedkey/",
    "users": "/admin/auth/user/",
}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_pages_are_whole_in_both_schemes_on_desktops_and_phones(  # noqa: PLR0917 - fixtures
    browser: Browser, busy_console: GatewayProcess, password: str, tmp_path: Path, scheme: Scheme, width: int
) -> None:
    pictures = Path(PICTURES or tmp_path)
    suffix = f"{scheme}-{'desktop' if width > 1000 else 'phone'}"
    watched = WatchedPage(browser, busy_console.console_url, scheme=scheme, width=width)
    page = watched.page
    page.goto("/admin/login/")
    page.screenshot(path=pictures / f"sign-in-{suffix}.png")
    watched.sign_in(password)
    for name, path in PAGES.items():
        answer = page.goto(path)
        assert answer
        assert answer.status == 200
        page.screenshot(path=pictures / f"{name}-{suffix}.png")
        # Wide tables scroll within their frame; the page itself never does.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('#content').clientWidth") > 0.7 * width
        row = page.locator("#result_list tbody th a").first
        if row.count():
            row.click()
            page.screenshot(path=pictures / f"{name}-page-{suffix}.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    watched.close()
    assert watched.complaints == []
