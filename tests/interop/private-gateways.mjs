// Private gateways as the library has them, with sessions and certificates in the memory of this process.
import { randomUUID } from 'node:crypto';

import { Cargo, getIdFromIdentityKey, MockKeyStoreSet, PrivateGateway } from '@relaycorp/relaynet-core';

import { readItem } from './cargo.mjs';
import { identity, readCertificate, readSessionKey } from './identities.mjs';
import { base64, readOctets, sha256Hex, writeOctets } from './octets.mjs';

const gateways = new Map();

class RegisteredGateway {
  constructor(node, internetGatewayId, internetAddress) {
    this.node = node;
    this.internetGatewayId = internetGatewayId;
    this.internetAddress = internetAddress;
  }

  static async create({ key, certificate, gatewayCertificate, sessionKey, internetAddress, registrationDate }) {
    const keyPair = identity(key);
    const node = new PrivateGateway(await getIdFromIdentityKey(keyPair.publicKey), keyPair, new MockKeyStoreSet(), {});
    const internetGateway = await readCertificate(gatewayCertificate);
    await node.saveInternetGatewayChannel(
      await readCertificate(certificate),
      internetGateway,
      await readSessionKey(sessionKey),
    );
    const gateway = new RegisteredGateway(node, await internetGateway.calculateSubjectId(), internetAddress);
    if (registrationDate) {
      gateway.backdateSessionKey(new Date(registrationDate));
    }
    return gateway;
  }

  /** The library dates the key of the registration by its clock, and heeds none in messages dated before that. */
  backdateSessionKey(publicKeyCreationTime) {
    const { sessionKeys } = this.node.keyStores.publicKeyStore;
    const key = sessionKeys[this.internetGatewayId];
    sessionKeys[this.internetGatewayId] = { ...key, publicKeyCreationTime };
  }

  /** A new one each time, so that it has the newest certificate. */
  async channel() {
    return this.node.getChannel(this.internetGatewayId, this.internetAddress);
  }

  /** The certificates that the Internet gateway issued, by which parcels from it are judged. */
  async ownCertificates() {
    const paths = await this.node.keyStores.certificateStore.retrieveAll(this.node.id, this.internetGatewayId);
    return paths.map((path) => path.leafCertificate);
  }

  async unwrap(octets) {
    const cargo = await Cargo.deserialize(octets);
    const channel = await this.channel();
    await this.node.validateMessage(cargo, await channel.getCDAIssuers());
    const { messages } = await this.node.unwrapMessagePayload(cargo);
    const items = [];
    for (const message of messages) {
      items.push(await this.take(message));
    }
    return { ...(await describeCargo(cargo)), items };
  }

  async take(octets) {
    const { message, ...item } = await readItem(octets);
    if (item.kind === 'parcel') {
      item.invalid = await this.invalidity(message);
    } else if (item.kind === 'rotation') {
      item.accepted = await this.rotate(message.certificationPath);
    }
    return item;
  }

  async invalidity(parcel) {
    try {
      await parcel.validate(await this.ownCertificates());
      return null;
    } catch (error) {
      return `${error.name}: ${error.message}`;
    }
  }

  /** As the desktop gateway does it: what names another node, or another issuer, is skipped. */
  async rotate(path) {
    const certificate = path.leafCertificate;
    const isMine = (await certificate.calculateSubjectId()) === this.node.id;
    if (!isMine || certificate.getIssuerId() !== this.internetGatewayId) {
      return false;
    }
    await this.node.keyStores.certificateStore.save(path, this.internetGatewayId);
    return true;
  }
}

async function describeCargo(cargo) {
  return {
    id: cargo.id,
    recipient: cargo.recipient,
    senderId: await cargo.senderCertificate.calculateSubjectId(),
    creationDate: cargo.creationDate.toISOString(),
    ttl: cargo.ttl,
  };
}

function registered(handle) {
  const gateway = gateways.get(handle);
  if (!gateway) {
    throw new Error(`No private gateway has the handle ${handle}`);
  }
  return gateway;
}

async function createPrivateGateway(params) {
  const handle = randomUUID();
  gateways.set(handle, await RegisteredGateway.create(params));
  return { handle, internetGatewayId: registered(handle).internetGatewayId };
}

async function makeCca({ gateway }) {
  const channel = await registered(gateway).channel();
  return { cca: await writeOctets(await channel.generateCCA()) };
}

/** Batched, encrypted and dated by the library; as many cargoes as the items need. */
async function makeCargoes({ gateway, items }) {
  async function* read() {
    for (const { message, expiryDate } of items) {
      yield { message: Buffer.from(await readOctets(message)), expiryDate: new Date(expiryDate) };
    }
  }
  const channel = await registered(gateway).channel();
  const cargoes = [];
  for await (const cargo of channel.generateCargoes(read())) {
    cargoes.push({ octets: await writeOctets(cargo), sha256: sha256Hex(cargo) });
  }
  return { cargoes };
}

async function unwrapCargo({ gateway, cargo }) {
  return registered(gateway).unwrap(await readOctets(cargo));
}

/** The key for what is encrypted next, as if a message of that date had brought it. */
async function saveSessionKey({ gateway, sessionKey, creationDate }) {
  const { node, internetGatewayId } = registered(gateway);
  const key = await readSessionKey(sessionKey);
  await node.keyStores.publicKeyStore.saveSessionKey(key, internetGatewayId, new Date(creationDate));
  return {};
}

async function describeOwnState({ gateway }) {
  const { node, internetGatewayId } = registered(gateway);
  const channel = await registered(gateway).channel();
  const sessionKey = await node.keyStores.publicKeyStore.retrieveLastSessionKey(internetGatewayId);
  return {
    certificate: base64(channel.deliveryAuthPath.leafCertificate.serialize()),
    sessionKeyId: base64(sessionKey.keyId),
  };
}

export const commands = {
  create_private_gateway: createPrivateGateway,
  describe_private_gateway: describeOwnState,
  make_cargoes: makeCargoes,
  make_cca: makeCca,
  save_session_key: saveSessionKey,
  unwrap_cargo: unwrapCargo,
};
