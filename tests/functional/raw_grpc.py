"""CogRPC as bare gRPC calls, for what a well-behaved client would not send."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from awala.generated.cogrpc_pb2 import CargoDelivery, CargoDeliveryAck
from tests.functional.gateway_process import GatewayProcess

DEPLOYED_NAME = "relaynet.cogrpc.CargoRelay"
SPECIFIED_NAME = "awala.cogrpc.CargoRelay"
NAMES = (DEPLOYED_NAME, SPECIFIED_NAME)
_ANY_SIZE = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class RawCall:
    """A call in whose stream the test sends by hand; answers are read by a thread, with the time of each."""

    def __init__(
        self,
        process: GatewayProcess,
        method: str,
        *,
        name: str = DEPLOYED_NAME,
        metadata: Sequence[tuple[str, str]] = (),
        options: Sequence[tuple[str, Any]] = (),
        timeout: float = 10,
    ) -> None:
        self._channel = grpc.insecure_channel(process.cogrpc_address, [*_ANY_SIZE, *options])
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(f"/{name}/{method}")
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[tuple[float, bytes] | None] = queue.SimpleQueue()
        self._call = call(iter(self._requests.get, None), metadata=tuple(metadata), timeout=timeout)
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()
        self._channel.close()

    def deliver(self, delivery_id: str, cargo: bytes) -> None:
        self.send(CargoDelivery(id=delivery_id, cargo=cargo).SerializeToString())

    def acknowledge(self, delivery_id: str) -> None:
        self.send(CargoDeliveryAck(id=delivery_id).SerializeToString())

    def send(self, octets: bytes) -> None:
        self._requests.put(octets)

    def half_close(self) -> None:
        self._requests.put(None)

    def cancel(self) -> None:
        self._requests.put(None)
        self._call.cancel()

    def take_ack(self, timeout: float = 10) -> tuple[float, str]:
        """When it came (by `time.monotonic`), and what it acknowledges."""
        answer = self.answers.get(timeout=timeout)
        assert answer is not None, self.status
        return answer[0], CargoDeliveryAck.FromString(answer[1]).id

    def take_delivery(self, timeout: float = 10) -> CargoDelivery:
        answer = self.answers.get(timeout=timeout)
        assert answer is not None, self.status
        return CargoDelivery.FromString(answer[1])

    def take_rest(self) -> Iterator[CargoDelivery]:
        while (answer := self.answers.get(timeout=10)) is not None:
            yield CargoDelivery.FromString(answer[1])

    @property
    def status(self) -> grpc.StatusCode:
        """Waits for the end of the call."""
        status: grpc.StatusCode = self._call.code()
        return status

    @property
    def details(self) -> str:
        return str(self._call.details())

    def _read(self) -> None:
        try:
            for octets in self._call:
                self.answers.put((time.monotonic(), octets))
        except grpc.RpcError:
            pass
        self.answers.put(None)
