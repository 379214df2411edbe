"""Pings in both deployed forms."""

import base64
import json

from awala.messages.ping import Ping
from tests.published_vectors import read

PING_ID = "f7b1ad0d-3a5e-4f8b-9c0e-0b8c54c3a3f1"


def target(octets: bytes) -> None:
    ping = Ping.deserialize(octets)
    assert Ping.deserialize(ping.serialize()) == ping


def seeds() -> list[bytes]:
    path = base64.b64encode(read("certification_path_js.der")).decode()
    members = {"id": PING_ID, "endpoint_internet_address": "gateway.example", "pda_path": path}
    return [PING_ID.encode(), json.dumps(members).encode()]
