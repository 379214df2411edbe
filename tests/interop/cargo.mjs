// What stands in cargo: parcels, acknowledgements of collection and certificate rotations, each by itself.
import {
  CargoMessageSet,
  CertificateRotation,
  CertificationPath,
  Parcel,
  ParcelCollectionAck,
} from '@relaycorp/relaynet-core';

import { readCertificate, readCertificates } from './identities.mjs';
import { describeParcel } from './messages.mjs';
import { base64, readOctets, sha256Hex, toArrayBuffer, writeOctets } from './octets.mjs';

async function makePca({ senderId, recipientId, parcelId }) {
  return { pca: base64(new ParcelCollectionAck(senderId, recipientId, parcelId).serialize()) };
}

async function makeRotation({ leaf, authorities }) {
  const path = new CertificationPath(await readCertificate(leaf), await readCertificates(authorities));
  return { rotation: base64(new CertificateRotation(path).serialize()) };
}

async function parsePca({ octets }) {
  return describePca(ParcelCollectionAck.deserialize(await readOctets(octets)));
}

async function parseRotation({ octets }) {
  return describeRotation(CertificateRotation.deserialize(await readOctets(octets)));
}

async function makeMessageSet({ items }) {
  const set = new CargoMessageSet(await Promise.all(items.map(readOctets)));
  return { set: await writeOctets(set.serialize()) };
}

async function parseMessageSet({ octets }) {
  const { messages } = CargoMessageSet.deserialize(await readOctets(octets));
  return { items: await Promise.all(messages.map(writeOctets)) };
}

/** A private gateway asks the library for each item, and skips those that it cannot read. */
export async function readItem(octets) {
  const description = { octets: await writeOctets(octets), sha256: sha256Hex(octets), size: octets.byteLength };
  try {
    const message = await CargoMessageSet.deserializeItem(toArrayBuffer(Buffer.from(octets)));
    return { ...description, ...(await describeItem(message)), message };
  } catch (error) {
    return { ...description, kind: 'unreadable', error: `${error.name}: ${error.message}` };
  }
}

async function describeItem(message) {
  if (message instanceof Parcel) {
    return { kind: 'parcel', parcel: await describeParcel(message) };
  }
  return message instanceof ParcelCollectionAck
    ? { kind: 'pca', pca: describePca(message) }
    : { kind: 'rotation', rotation: describeRotation(message) };
}

function describePca(pca) {
  return { senderId: pca.senderEndpointId, recipientId: pca.recipientEndpointId, parcelId: pca.parcelId };
}

function describeRotation({ certificationPath }) {
  return {
    leaf: base64(certificationPath.leafCertificate.serialize()),
    authorities: certificationPath.certificateAuthorities.map((certificate) => base64(certificate.serialize())),
  };
}

export const commands = {
  make_message_set: makeMessageSet,
  make_pca: makePca,
  make_rotation: makeRotation,
  parse_message_set: parseMessageSet,
  parse_pca: parsePca,
  parse_rotation: parseRotation,
};
