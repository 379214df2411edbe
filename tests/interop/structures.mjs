// Every structure of the protocol that is neither a parcel nor an exchange: what others encode, these read and check.
import {
  CertificationPath,
  derDeserializeRSAPublicKey,
  derSerializePublicKey,
  HandshakeChallenge,
  HandshakeResponse,
  NodeConnectionParams,
  ParcelCollectionHandshakeSigner,
  ParcelCollectionHandshakeVerifier,
  ParcelDelivery,
  ParcelDeliverySigner,
  ParcelDeliveryVerifier,
  PrivateNodeRegistration,
  PrivateNodeRegistrationAuthorization,
  PrivateNodeRegistrationRequest,
} from '@relaycorp/relaynet-core';

import { describeSessionKey, identity, readCertificate, readCertificates } from './identities.mjs';
import { nodeIds } from './messages.mjs';
import { base64, readOctets, writeOctets } from './octets.mjs';

const SIGNERS = {
  'collection-handshake': ParcelCollectionHandshakeSigner,
  'parcel-delivery': ParcelDeliverySigner,
};
const VERIFIERS = {
  'collection-handshake': ParcelCollectionHandshakeVerifier,
  'parcel-delivery': ParcelDeliveryVerifier,
};

async function verifyCertificate({ certificate: encoded, intermediates, trusted }) {
  const certificate = await readCertificate(encoded);
  certificate.validate();
  const path =
    trusted && (await certificate.getCertificationPath(await readCertificates(intermediates), await readCertificates(trusted)));
  return {
    nodeId: await certificate.calculateSubjectId(),
    commonName: certificate.getCommonName(),
    issuerId: certificate.getIssuerId(),
    serialNumber: certificate.getSerialNumberHex(),
    notBefore: certificate.startDate.toISOString(),
    notAfter: certificate.expiryDate.toISOString(),
    path: path && (await nodeIds(path)),
  };
}

async function signDetached({ purpose, key, certificate, plaintext }) {
  const signer = new SIGNERS[purpose](await readCertificate(certificate), identity(key).privateKey);
  return { signature: base64(await signer.sign(await readOctets(plaintext))) };
}

async function verifyDetached({ purpose, signature, plaintext, trusted }) {
  const verifier = new VERIFIERS[purpose](await readCertificates(trusted));
  const signer = await verifier.verify(await readOctets(signature), await readOctets(plaintext));
  return { signerId: await signer.calculateSubjectId(), certificate: base64(signer.serialize()) };
}

async function parseConnectionParams({ octets }) {
  return describeConnectionParams(await NodeConnectionParams.deserialize(await readOctets(octets)));
}

export async function describeConnectionParams(params) {
  return {
    internetAddress: params.internetAddress,
    identityKey: base64(await derSerializePublicKey(params.identityKey)),
    sessionKey: await describeSessionKey(params.sessionKey),
  };
}

async function parseRegistration({ octets }) {
  return describeRegistration(await PrivateNodeRegistration.deserialize(await readOctets(octets)));
}

export async function describeRegistration(registration) {
  return {
    certificate: base64(registration.privateNodeCertificate.serialize()),
    gatewayCertificate: base64(registration.gatewayCertificate.serialize()),
    internetAddress: registration.internetGatewayInternetAddress,
    sessionKey: registration.sessionKey && (await describeSessionKey(registration.sessionKey)),
  };
}

async function parseRegistrationAuthorization({ octets, gatewaySpki }) {
  const publicKey = await derDeserializeRSAPublicKey(await readOctets(gatewaySpki));
  const pnra = await PrivateNodeRegistrationAuthorization.deserialize(await readOctets(octets), publicKey);
  return { expiryDate: pnra.expiryDate.toISOString(), gatewayData: base64(pnra.gatewayData) };
}

async function makeRegistrationRequest({ key, authorization }) {
  const { privateKey, publicKey } = identity(key);
  const request = new PrivateNodeRegistrationRequest(publicKey, await readOctets(authorization));
  return { request: base64(await request.serialize(privateKey)) };
}

async function parseRegistrationRequest({ octets }) {
  const request = await PrivateNodeRegistrationRequest.deserialize(await readOctets(octets));
  return {
    spki: base64(await derSerializePublicKey(request.privateNodePublicKey)),
    authorization: base64(request.pnraSerialized),
  };
}

async function parseHandshakeChallenge({ octets }) {
  return { nonce: base64(HandshakeChallenge.deserialize(await readOctets(octets)).nonce) };
}

async function parseHandshakeResponse({ octets }) {
  return { signatures: HandshakeResponse.deserialize(await readOctets(octets)).nonceSignatures.map(base64) };
}

async function parseParcelDelivery({ octets }) {
  const delivery = ParcelDelivery.deserialize(await readOctets(octets));
  return { deliveryId: delivery.deliveryId, parcel: await writeOctets(delivery.parcelSerialized) };
}

async function parseCertificationPath({ octets }) {
  const path = CertificationPath.deserialize(await readOctets(octets));
  return {
    leaf: base64(path.leafCertificate.serialize()),
    authorities: path.certificateAuthorities.map((certificate) => base64(certificate.serialize())),
  };
}

export const commands = {
  make_registration_request: makeRegistrationRequest,
  parse_certification_path: parseCertificationPath,
  parse_connection_params: parseConnectionParams,
  parse_handshake_challenge: parseHandshakeChallenge,
  parse_handshake_response: parseHandshakeResponse,
  parse_parcel_delivery: parseParcelDelivery,
  parse_registration: parseRegistration,
  parse_registration_authorization: parseRegistrationAuthorization,
  parse_registration_request: parseRegistrationRequest,
  sign_detached: signDetached,
  verify_certificate: verifyCertificate,
  verify_detached: verifyDetached,
};
