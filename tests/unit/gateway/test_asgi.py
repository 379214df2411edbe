from typing import Any

import pytest
import structlog

from gateway import asgi

Message = dict[str, Any]


async def open_websocket(path: str) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await asgi.serve_websocket({"type": "websocket", "path": path}, receive, send)
    return sent


@pytest.mark.parametrize("path", ["/", "/v1/parcel-collection/", "/v1/parcels"])
async def test_other_paths_are_refused(path: str) -> None:
    assert await open_websocket(path) == [{"type": "websocket.close"}]


async def test_failing_consumer_is_closed_and_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_scope: Message, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        raise RuntimeError("on purpose")

    monkeypatch.setattr(asgi, "_consume", fail)

    with structlog.testing.capture_logs() as entries:
        sent = await open_websocket(asgi.COLLECTION_PATH)

    assert sent[-1] == {"type": "websocket.close", "code": 1011, "reason": "Internal error"}
    assert [entry["event"] for entry in entries] == ["collection_failed"]


async def test_consumer_that_fails_after_closing_is_not_closed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_scope: Message, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 4000})
        raise RuntimeError("on purpose")

    monkeypatch.setattr(asgi, "_consume", fail)

    assert await open_websocket(asgi.COLLECTION_PATH) == [{"type": "websocket.close", "code": 4000}]
