"""EnvelopedData and AuthEnvelopedData values and their decryption."""

from tests import published_vectors as published
from tests.decoders import read_enveloped_data
from tests.unit.awala.cms.envelopes import AuthEnvelope, BareGCMEnvelope, GCMEnvelope

target = read_enveloped_data


def seeds() -> list[bytes]:
    # The key that is tried where the recipient's key id is unknown.
    public_key = published.session_private_key("gw_session_unbound").public_key()
    authenticated = [
        make(recipient_public_key=public_key, indefinite=indefinite, segment_size=size).encode()
        for make in (GCMEnvelope, BareGCMEnvelope, AuthEnvelope)
        for indefinite, size in ((False, None), (True, 1024))
    ]
    return [*(vector.octets for vector in published.of_type("EnvelopedData")), *authenticated]
