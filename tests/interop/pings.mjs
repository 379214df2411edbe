// Pings of private endpoints, and the pongs to them (RS-014), as the desktop app has them. The libraries leave these to
// applications; all but the JSON is theirs.
import { randomUUID } from 'node:crypto';

import {
  CertificationPath,
  derDeserializeRSAPublicKey,
  issueDeliveryAuthorization,
  issueEndpointCertificate,
  Parcel,
  ServiceMessage,
  SessionEnvelopedData,
} from '@relaycorp/relaynet-core';

import {
  identity,
  keepSessionKeyPair,
  readCertificate,
  readCertificates,
  readSessionKey,
  sessionKeyPair,
} from './identities.mjs';
import { readOctets, sha256Hex, toArrayBuffer, writeOctets } from './octets.mjs';

const PING_TYPE = 'application/vnd.awala.ping-v1.ping';
const PONG_TYPE = 'application/vnd.awala.ping-v1.pong';
const DAY_MS = 24 * 3600 * 1000;
const BACKDATING_MS = 90 * 60 * 1000;

/** The endpoint authorises the recipient to answer. With `chain` it is a parcel to a private endpoint. */
async function makePing({ key, recipient, sessionKey, authorization, chain, ...params }) {
  const { privateKey, publicKey } = identity(key);
  const id = randomUUID();
  const path = await authorizeRecipient(privateKey, params);
  const ping = {
    id,
    pda_path: Buffer.from(path.serialize()).toString('base64'),
    endpoint_internet_address: params.internetAddress,
  };
  const sealed = await seal(PING_TYPE, JSON.stringify(ping), await readSessionKey(sessionKey));
  const senderCertificate = authorization
    ? await readCertificate(authorization)
    : await issueEndpointCertificate({ issuerPrivateKey: privateKey, subjectPublicKey: publicKey, ...validity() });
  const authorities = await readCertificates(chain);
  const made = await makeParcel(recipient, senderCertificate, authorities, sealed.payload, privateKey);
  return { pingId: id, sessionKey: sealed.sessionKey, ...made };
}

async function authorizeRecipient(privateKey, { certificate, gatewayCertificate, recipientSpki }) {
  const endpointCertificate = await readCertificate(certificate);
  const authorization = await issueDeliveryAuthorization({
    issuerCertificate: endpointCertificate,
    issuerPrivateKey: privateKey,
    subjectPublicKey: await derDeserializeRSAPublicKey(await readOctets(recipientSpki)),
    ...validity(),
  });
  return new CertificationPath(authorization, [endpointCertificate, await readCertificate(gatewayCertificate)]);
}

/** `sessionKey` is the pong endpoint's own; the answer goes to the key that came with the ping. */
async function answerPing({ key, sessionKey, parcel: encoded }) {
  const parcel = await Parcel.deserialize(await readOctets(encoded));
  await parcel.validate();
  const { payload, senderSessionKey } = await parcel.unwrapPayload(sessionKeyPair(sessionKey).privateKey);
  if (payload.type !== PING_TYPE) {
    throw new Error(`Not a ping but ${payload.type}`);
  }
  const ping = JSON.parse(payload.content.toString());
  const path = CertificationPath.deserialize(toArrayBuffer(Buffer.from(ping.pda_path, 'base64')));
  const sealed = await seal(PONG_TYPE, ping.id, senderSessionKey);
  const senderId = await parcel.senderCertificate.calculateSubjectId();
  const recipient = { id: senderId, internetAddress: ping.endpoint_internet_address };
  const { leafCertificate, certificateAuthorities } = path;
  const { privateKey } = identity(key);
  const made = await makeParcel(recipient, leafCertificate, certificateAuthorities, sealed.payload, privateKey);
  return { pingId: ping.id, ...made };
}

function validity() {
  const now = Date.now();
  return { validityStartDate: new Date(now - BACKDATING_MS), validityEndDate: new Date(now + 30 * DAY_MS) };
}

async function seal(type, content, recipientKey) {
  const message = new ServiceMessage(type, Buffer.from(content));
  const { envelopedData, dhPrivateKey } = await SessionEnvelopedData.encrypt(message.serialize(), recipientKey);
  return {
    payload: Buffer.from(envelopedData.serialize()),
    sessionKey: await keepSessionKeyPair({ sessionKey: await envelopedData.getOriginatorKey(), privateKey: dhPrivateKey }),
  };
}

async function makeParcel(recipient, senderCertificate, senderCaCertificateChain, payload, privateKey) {
  const creationDate = new Date(Date.now() - BACKDATING_MS);
  const ttl = (DAY_MS + BACKDATING_MS) / 1000;
  const parcel = new Parcel(recipient, senderCertificate, payload, { creationDate, senderCaCertificateChain, ttl });
  const serialized = await parcel.serialize(privateKey);
  return {
    id: parcel.id,
    parcel: await writeOctets(serialized),
    sha256: sha256Hex(serialized),
    expiryDate: parcel.expiryDate.toISOString(),
  };
}

export const commands = { answer_ping: answerPing, make_ping: makePing };
