"""A gRPC server that does with each call of a courier what the test says."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from awala.generated.cogrpc_pb2 import CargoDelivery, CargoDeliveryAck
from tests.tls_certificates import ServerCertificate

Behaviour = Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]]


@contextmanager
def serve_couriers(
    *,
    deliver: Behaviour | None = None,
    collect: Behaviour | None = None,
    name: str = "relaynet.cogrpc.CargoRelay",
    tls: ServerCertificate | None = None,
) -> Iterator[str]:
    """Yields the server's address."""
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    if deliver:
        methods["DeliverCargo"] = grpc.stream_stream_rpc_method_handler(
            deliver, CargoDelivery.FromString, CargoDeliveryAck.SerializeToString
        )
    if collect:
        methods["CollectCargo"] = grpc.stream_stream_rpc_method_handler(
            collect, CargoDeliveryAck.FromString, CargoDelivery.SerializeToString
        )
    options = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(4), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
    if tls is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (tls.key_file.read_bytes(), tls.certificate_file.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()
