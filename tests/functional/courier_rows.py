"""Rows of cargo, destinations and upkeep for the console to show, in each of their states.

Their next attempts are hours away, so that no worker of the gateway under test takes them up.
"""

import hashlib
import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta

from tests.functional.gateway_process import GatewayProcess
from tests.functional.record import add_row

HOUR = timedelta(hours=1)


def add_incoming_cargo(process: GatewayProcess, state: str, **values: object) -> uuid.UUID:
    now = datetime.now(UTC)
    defaults: dict[str, object] = {
        "peer_id": make_node_id(),
        "cargo_id_sha256": make_digest(),
        "sha256": make_digest(),
        "object_key": f"cargoes/pending-unwrapping/{uuid.uuid4()}",
        "size": 310_000,
        "received_at": now - HOUR,
        "expires_at": now + 24 * HOUR,
        "items_done": 0,
        "parcels": 0,
        "collection_acks": 0,
        "skipped_items": 0,
        "attempts": 1,
        "next_attempt_at": now + 3 * HOUR,
        "last_error": "",
        "state": state,
    }
    return add_row(process, "incomingcargo", **defaults | values)


def add_cargo_collection(process: GatewayProcess, state: str, **values: object) -> uuid.UUID:
    now = datetime.now(UTC)
    defaults: dict[str, object] = {
        "peer_id": make_node_id(),
        "cca_id_sha256": make_digest(),
        "claim_id": uuid.uuid4(),
        "claimed_at": now,
        "claimed_until": now + HOUR,
        "cargoes": 0,
        "acknowledged_cargoes": 0,
        "octets": 0,
        "expires_at": now + 24 * HOUR,
        "state": state,
    }
    return add_row(process, "cargocollection", **defaults | values)


def add_destination(process: GatewayProcess, address: str, state: str, **values: object) -> uuid.UUID:
    defaults: dict[str, object] = {
        "internet_address": address,
        "state": state,
        "consecutive_failures": 0,
        "retry_interval_seconds": 0,
        "is_paused": False,
        "last_error": "",
    }
    return add_row(process, "destination", **defaults | values)


def add_outgoing_parcel(process: GatewayProcess, destination: str, **values: object) -> uuid.UUID:
    now = datetime.now(UTC)
    defaults: dict[str, object] = {
        "destination": destination,
        "peer_id": make_node_id(),
        "recipient_id": make_node_id(),
        "sender_id": make_node_id(),
        "parcel_id_sha256": make_digest(),
        "object_key": f"parcels/endpoint-bound/{uuid.uuid4()}",
        "size": 2_300,
        "received_at": now - HOUR,
        "expires_at": now + 24 * HOUR,
        "attempts": 0,
        "next_attempt_at": now + 3 * HOUR,
        "last_error": "",
        "state": "pending",
    }
    return add_row(process, "outgoingparcel", **defaults | values)


def add_rows_of_each_kind(process: GatewayProcess) -> None:
    now = datetime.now(UTC)
    add_incoming_cargo(process, "pending", attempts=2, last_error="the object store failed")
    add_incoming_cargo(process, "pending", attempts=0, received_at=now)
    done = {"items_done": 14, "parcels": 9, "collection_acks": 4, "skipped_items": 1}
    add_incoming_cargo(process, "unwrapped", settled_at=now, next_attempt_at=now, **done)
    add_incoming_cargo(process, "invalid", last_error="Content cannot be decrypted")
    add_cargo_collection(process, "claimed", cargoes=2, octets=4_200_000)
    add_cargo_collection(
        process,
        "fulfilled",
        cargoes=5,
        acknowledged_cargoes=5,
        octets=19_000_000,
        claimed_at=now - HOUR - timedelta(seconds=2),
        fulfilled_at=now - HOUR,
    )
    add_destination(process, "ping.example.org", "closed", last_success_at=now)
    add_destination(process, "paused.example.org", "closed", is_paused=True, last_success_at=now - 9 * HOUR)
    add_destination(
        process,
        "down.example.net",
        "open",
        consecutive_failures=11,
        failing_since=now - 5 * HOUR,
        retry_interval_seconds=3_600,
        next_attempt_at=now + HOUR,
        last_failure_at=now - HOUR,
        last_error="the server did not answer within 10 s",
    )
    with closing(sqlite3.connect(process.database_path, timeout=30)) as database, database:
        # Jobs have names for ids; the gateway may have made its own already.
        database.executemany(
            "INSERT OR IGNORE INTO gateway_maintenancejob"
            " (name, due_at, run_id, last_started_at, last_finished_at, last_outcome, has_failed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                ("expire parcels", now + HOUR, uuid.uuid4().hex, now, now, "12 parcels had expired", False),
                ("remove orphans", now + HOUR, uuid.uuid4().hex, now, now, "the object store failed", True),
            ],
        )
    for _ in range(3):
        add_outgoing_parcel(process, "down.example.net", attempts=1, last_error="circuit is open")


def make_node_id() -> str:
    return f"0{make_digest()}"


def make_digest() -> str:
    return hashlib.sha256(uuid.uuid4().bytes).hexdigest()
