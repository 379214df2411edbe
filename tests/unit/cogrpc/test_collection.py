import base64

import grpc
import pytest

from cogrpc.calls import RefusedCallError
from cogrpc.collection import read_authorization
from tests.unit.cogrpc.contexts import FakeContext

CCA = base64.b64encode(b"the cca").decode()


@pytest.mark.parametrize("scheme", ["Relaynet-CCA", "Awala-CCA", "relaynet-cca", "AWALA-CCA"])
def test_authorization(scheme: str) -> None:
    context = FakeContext(metadata=[("user-agent", "courier"), ("authorization", f"{scheme} {CCA}")])

    assert read_authorization(context.as_context) == b"the cca"


@pytest.mark.parametrize(
    "values",
    [
        (),
        (f"Relaynet-CCA {CCA}", f"Relaynet-CCA {CCA}"),
        (f"Bearer {CCA}",),
        (CCA,),
        ("Relaynet-CCA",),
        ("Relaynet-CCA ",),
        ("Relaynet-CCA !!!!",),
        ("Relaynet-CCA YQ",),
        ("",),
    ],
    ids=str,
)
def test_authorization_that_is_none(values: tuple[str, ...]) -> None:
    context = FakeContext(metadata=[("authorization", value) for value in values])

    with pytest.raises(RefusedCallError) as caught:
        read_authorization(context.as_context)

    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
