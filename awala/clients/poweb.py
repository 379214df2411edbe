"""PoWeb client (RS-016): what a private gateway says to its Internet gateway."""

import base64
import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import oids
from awala.clients.collection import Collection, Signer, StreamingMode, open_collection
from awala.clients.errors import InvalidAnswerError, RefusedParcelError
from awala.clients.http import check_url, open_client, request
from awala.clients.pohttp import PARCEL_CONTENT_TYPE
from awala.connection_params import NodeConnectionParams
from awala.errors import InvalidMessageError
from awala.pki.keys import spki_der
from awala.registration import Registration, RegistrationRequest

CONNECTION_PARAMS_CONTENT_TYPE: Final = "application/vnd.etsi.tsl.der"
AUTHORIZATION_CONTENT_TYPE: Final = "application/vnd.awala.node-registration.authorization"
REQUEST_CONTENT_TYPE: Final = "application/vnd.awala.node-registration.request"
REGISTRATION_CONTENT_TYPE: Final = "application/vnd.awala.node-registration.registration"
# The specification's name is Awala-Countersignature; this older one every server knows.
COUNTERSIGNATURE_SCHEME: Final = "Relaynet-Countersignature"


class PoWebClient:
    """A private gateway's client of one Internet gateway; to be closed, or used in a ``with``.

    ``url`` is that of the server's root, such as ``https://poweb.example.com``. ``timeout`` is in seconds, for the
    connection and for each read and write. Besides what each method names, all raise ``ServerUnavailableError`` if
    the server cannot be reached or cannot serve now, ``RejectedRequestError`` if it refuses the request, and
    ``InvalidAnswerError`` if its answer makes no sense.

    :raises InvalidArgumentError: if ``url`` is none of HTTP or HTTPS
    """

    def __init__(self, url: str, *, timeout: float = 5) -> None:
        self._url = check_url(url).rstrip("/")
        self._timeout = timeout
        self._http = open_client(timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; collections have their own."""
        self._http.close()

    def fetch_connection_params(self) -> NodeConnectionParams:
        """Return how the gateway says it is to be reached (RS-000)."""
        answer = request(self._http, "GET", f"{self._url}/connection-params.der")
        try:
            return NodeConnectionParams.deserialize(answer.read_body(CONNECTION_PARAMS_CONTENT_TYPE))
        except InvalidMessageError as error:
            raise InvalidAnswerError(f"Server sent no valid connection parameters: {error}") from error

    def pre_register(self, public_key: rsa.RSAPublicKey) -> bytes:
        """Return the authorisation (PNRA), to be sent back as it is, to register this key."""
        digest = hashlib.sha256(spki_der(public_key)).hexdigest().encode()
        return self._post("pre-registrations", digest, "text/plain", AUTHORIZATION_CONTENT_TYPE)

    def register(self, private_key: rsa.RSAPrivateKey) -> Registration:
        """Register the node with this key, or renew its registration; both steps are done."""
        authorization = self.pre_register(private_key.public_key())
        registration_request = RegistrationRequest(
            public_key_der=spki_der(private_key.public_key()), authorization_serialized=authorization
        )
        octets = self._post(
            "nodes", registration_request.serialize(private_key), REQUEST_CONTENT_TYPE, REGISTRATION_CONTENT_TYPE
        )
        try:
            registration = Registration.deserialize(octets)
        except InvalidMessageError as error:
            raise InvalidAnswerError(f"Server sent no valid registration: {error}") from error
        if registration.node_certificate.spki_der != registration_request.public_key_der:
            raise InvalidAnswerError("Server registered another key")
        return registration

    def deliver_parcel(self, parcel_serialized: bytes, signer: Signer) -> None:
        """Hand a parcel to the gateway; when this returns, the gateway has taken it over.

        :raises RefusedParcelError: if the gateway will never accept the parcel, which may then be deleted
        """
        countersignature = base64.b64encode(signer.sign(parcel_serialized, oids.PARCEL_DELIVERY)).decode()
        answer = request(
            self._http,
            "POST",
            f"{self._url}/v1/parcels",
            body=parcel_serialized,
            headers={
                "Content-Type": PARCEL_CONTENT_TYPE,
                "Authorization": f"{COUNTERSIGNATURE_SCHEME} {countersignature}",
            },
        )
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise RefusedParcelError(f"Parcel was refused: {answer.description}", status=answer.status)
        answer.check_success()

    def collect(self, signers: Sequence[Signer], mode: StreamingMode) -> AbstractContextManager[Collection]:
        """Open, for a ``with``, a collection of the parcels for these nodes; see :func:`open_collection`."""
        url = f"ws{self._url.removeprefix('http')}/v1/parcel-collection"
        return open_collection(url, signers, mode, timeout=self._timeout)

    def _post(self, path: str, body: bytes, content_type: str, answer_type: str) -> bytes:
        answer = request(
            self._http, "POST", f"{self._url}/v1/{path}", body=body, headers={"Content-Type": content_type}
        )
        return answer.read_body(answer_type)
