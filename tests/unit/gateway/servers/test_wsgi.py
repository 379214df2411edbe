import threading
from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

from gateway.servers.limits import LARGE_BODIES_AT_ONCE, LARGE_BODY
from gateway.servers.wsgi import EdgeApplication


def start_response(_status: str, _headers: object, _exc_info: object = None) -> Callable[[bytes], object]:
    raise AssertionError("not called here")


class Response:
    is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"body"])

    def close(self) -> None:
        self.is_closed = True


def test_requests_are_marked_with_their_edge() -> None:
    seen: list[str] = []

    def application(environ: WSGIEnvironment, _: StartResponse) -> Iterable[bytes]:
        seen.append(environ["gateway.edge"])
        return []

    EdgeApplication(application, edge="pohttp")({"REQUEST_METHOD": "GET", "gateway.edge": "console"}, start_response)

    assert seen == ["pohttp"]


def test_head_gets_no_body_and_closes_the_response() -> None:
    response = Response()

    chunks = EdgeApplication(lambda *_: response, edge="pohttp")({"REQUEST_METHOD": "HEAD"}, start_response)

    assert list(chunks) == []
    chunks.close()  # type: ignore[attr-defined]
    assert response.is_closed


def test_other_methods_get_the_response_itself() -> None:
    response = Response()

    assert EdgeApplication(lambda *_: response, edge="x")({"REQUEST_METHOD": "GET"}, start_response) is response


def count_at_once(length: int) -> int:
    """How many of eight requests with bodies of this length are in the application at the same time."""
    lock = threading.Lock()
    inside = most = 0
    barrier = threading.Barrier(8)

    def application(_environ: WSGIEnvironment, _: StartResponse) -> Iterable[bytes]:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        pause.wait(0.05)
        with lock:
            inside -= 1
        return []

    pause = threading.Event()
    edge = EdgeApplication(application, edge="pohttp")

    def send() -> None:
        barrier.wait()
        edge({"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(length)}, start_response)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


def test_few_large_bodies_pass_at_once() -> None:
    assert count_at_once(LARGE_BODY + 1) <= LARGE_BODIES_AT_ONCE


def test_small_bodies_need_not_wait() -> None:
    assert count_at_once(LARGE_BODY) > LARGE_BODIES_AT_ONCE
