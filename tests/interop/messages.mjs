// Parcels: made as an endpoint makes them, read as a gateway or an endpoint reads them.
import { randomBytes } from 'node:crypto';

import { Parcel, ServiceMessage, SessionEnvelopedData } from '@relaycorp/relaynet-core';

import { identity, readCertificate, readCertificates, readSessionKey, sessionKeyPair } from './identities.mjs';
import { base64, readOctets, sha256Hex, writeOctets } from './octets.mjs';

async function makeParcel(params) {
  const creationDate = new Date(Date.now() + (params.creationOffsetSeconds ?? 0) * 1000);
  const parcel = new Parcel(
    params.recipient,
    await readCertificate(params.senderCertificate),
    await makePayload(params),
    { creationDate, id: params.parcelId, senderCaCertificateChain: await readCertificates(params.chain), ttl: params.ttl },
  );
  const signatureOptions = params.hash && { hashingAlgorithmName: params.hash };
  const serialized = await parcel.serialize(identity(params.sender).privateKey, signatureOptions);
  return { id: parcel.id, parcel: await writeOctets(serialized), sha256: sha256Hex(serialized) };
}

async function makePayload({ payload, payloadSize, serviceMessage }) {
  if (serviceMessage) {
    return sealServiceMessage(serviceMessage);
  }
  return payload === undefined ? randomBytes(payloadSize ?? 0) : Buffer.from(await readOctets(payload));
}

async function sealServiceMessage({ type, content, sessionKey }) {
  const message = new ServiceMessage(type, Buffer.from(await readOctets(content)));
  const { envelopedData } = await SessionEnvelopedData.encrypt(message.serialize(), await readSessionKey(sessionKey));
  return Buffer.from(envelopedData.serialize());
}

/** Without trusted certificates the sender is checked as for an Internet endpoint: by its own certificate alone. */
async function verifyParcel({ parcel: encoded, trusted }) {
  const parcel = await Parcel.deserialize(await readOctets(encoded));
  const path = await parcel.validate(trusted && (await readCertificates(trusted)));
  return { ...(await describeParcel(parcel)), path: path && (await nodeIds(path)) };
}

async function parseParcel({ parcel }) {
  return describeParcel(await Parcel.deserialize(await readOctets(parcel)));
}

async function unwrapParcel({ parcel: encoded, sessionKey }) {
  const parcel = await Parcel.deserialize(await readOctets(encoded));
  const { payload } = await parcel.unwrapPayload(sessionKeyPair(sessionKey).privateKey);
  return { type: payload.type, content: await writeOctets(payload.content) };
}

export async function describeParcel(parcel) {
  return {
    id: parcel.id,
    recipient: parcel.recipient,
    senderId: await parcel.senderCertificate.calculateSubjectId(),
    senderCertificate: base64(parcel.senderCertificate.serialize()),
    creationDate: parcel.creationDate.toISOString(),
    ttl: parcel.ttl,
    payloadSize: parcel.payloadSerialized.byteLength,
    payloadSha256: sha256Hex(parcel.payloadSerialized),
  };
}

export async function nodeIds(certificates) {
  return Promise.all(certificates.map((certificate) => certificate.calculateSubjectId()));
}

export const commands = {
  make_parcel: makeParcel,
  parse_parcel: parseParcel,
  unwrap_parcel: unwrapParcel,
  verify_parcel: verifyParcel,
};
