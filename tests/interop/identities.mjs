// Key pairs, which stay in this process and are named by handles, and the certificates issued with them.
import { randomUUID } from 'node:crypto';

import {
  Certificate,
  derDeserializeECDHPublicKey,
  derDeserializeRSAPrivateKey,
  derDeserializeRSAPublicKey,
  derSerializePrivateKey,
  derSerializePublicKey,
  generateRSAKeyPair,
  getIdFromIdentityKey,
  issueDeliveryAuthorization,
  issueEndpointCertificate,
  issueGatewayCertificate,
  SessionKeyPair,
} from '@relaycorp/relaynet-core';

import { base64, readOctets } from './octets.mjs';

const identities = new Map();
const sessionKeyPairs = new Map();

const ISSUERS = {
  gateway: issueGatewayCertificate,
  endpoint: issueEndpointCertificate,
  'delivery-authorization': issueDeliveryAuthorization,
};

export function identity(handle) {
  return lookUp(identities, handle);
}

export function sessionKeyPair(handle) {
  return lookUp(sessionKeyPairs, handle);
}

function lookUp(pairs, handle) {
  const pair = pairs.get(handle);
  if (!pair) {
    throw new Error(`No key pair has the handle ${handle}`);
  }
  return pair;
}

export async function readCertificate(encoded) {
  return Certificate.deserialize(await readOctets(encoded));
}

export async function readCertificates(list) {
  return Promise.all((list ?? []).map(readCertificate));
}

async function generateIdentity({ modulus, hash }) {
  return keep(await generateRSAKeyPair({ modulus, hashingAlgorithm: hash }));
}

async function importIdentity({ privateKey, hash }) {
  const algorithm = { name: 'RSA-PSS', hash: { name: hash ?? 'SHA-256' } };
  const privateKeyDer = Buffer.from(await readOctets(privateKey));
  const key = await derDeserializeRSAPrivateKey(privateKeyDer, algorithm);
  const publicKey = await derDeserializeRSAPublicKey(await derSerializePublicKey(key), algorithm);
  return keep({ privateKey: key, publicKey });
}

async function keep(keyPair) {
  const handle = randomUUID();
  identities.set(handle, keyPair);
  return {
    handle,
    nodeId: await getIdFromIdentityKey(keyPair.publicKey),
    spki: base64(await derSerializePublicKey(keyPair.publicKey)),
  };
}

async function exportIdentity({ key }) {
  return { privateKey: base64(await derSerializePrivateKey(identity(key).privateKey)) };
}

async function generateSessionKey() {
  return keepSessionKeyPair(await SessionKeyPair.generate());
}

/** A pair is a `sessionKey`, which is public, and its `privateKey`. */
export async function keepSessionKeyPair(pair) {
  const handle = randomUUID();
  sessionKeyPairs.set(handle, pair);
  return { handle, ...(await describeSessionKey(pair.sessionKey)) };
}

export async function readSessionKey({ keyId, publicKey }) {
  return {
    keyId: Buffer.from(await readOctets(keyId)),
    publicKey: await derDeserializeECDHPublicKey(await readOctets(publicKey)),
  };
}

export async function describeSessionKey(sessionKey) {
  return {
    keyId: base64(sessionKey.keyId),
    publicKey: base64(await derSerializePublicKey(sessionKey.publicKey)),
  };
}

/** Without an issuer certificate the subject's key signs: a self-issued certificate. */
async function issueCertificate({ kind, subject, subjectSpki, issuer, issuerCertificate, notBefore, notAfter }) {
  const subjectPublicKey = subject
    ? identity(subject).publicKey
    : await derDeserializeRSAPublicKey(await readOctets(subjectSpki));
  const certificate = await ISSUERS[kind]({
    issuerCertificate: issuerCertificate && (await readCertificate(issuerCertificate)),
    issuerPrivateKey: identity(issuer).privateKey,
    subjectPublicKey,
    validityEndDate: new Date(notAfter),
    validityStartDate: new Date(notBefore),
  });
  return { certificate: base64(certificate.serialize()) };
}

export const commands = {
  export_identity: exportIdentity,
  generate_identity: generateIdentity,
  generate_session_key: generateSessionKey,
  import_identity: importIdentity,
  issue_certificate: issueCertificate,
};
