// Collecting parcels over PoWeb: one command streams events until the collection ends or is stopped.
import { setTimeout as sleep } from 'node:timers/promises';

import { Parcel, ParcelCollectionHandshakeSigner } from '@relaycorp/relaynet-core';

import { identity, readCertificate } from './identities.mjs';
import { sha256Hex, writeOctets } from './octets.mjs';
import { powebClient } from './poweb.mjs';
import { abandon, observeSockets } from './sockets.mjs';

const CLOSING_MS = 5000;

const collections = new Map();

class Collection {
  constructor(params, emit) {
    this.params = params;
    this.emit = emit;
    this.socket = null;
    this.closing = Promise.resolve();
    this.stopped = false;
    this.taken = 0;
  }

  created(socket) {
    this.socket = socket;
    this.closing = new Promise((resolve) => socket.once('close', resolve));
    if (this.stopped) {
      // Stopped between two connections: the client must not go on with this one.
      setImmediate(() => abandon(socket, { abrupt: true }));
    }
  }

  closed({ code, reason }) {
    this.emit('disconnected', { code, reason });
  }

  stop(options) {
    if (!this.stopped) {
      this.stopped = true;
      if (this.socket) {
        abandon(this.socket, options);
      }
    }
  }

  async run() {
    const signers = await Promise.all(this.params.signers.map(makeSigner));
    const parcels = powebClient(this.params).collectParcels(signers, this.params.mode, () => this.emit('connected', {}));
    try {
      for await (const parcel of parcels) {
        await this.take(parcel);
        if (this.stopped || this.taken === this.params.maxParcels) {
          break;
        }
      }
    } catch (error) {
      if (!this.stopped) {
        throw error;
      }
    }
    return { stopped: this.stopped, parcels: this.taken };
  }

  /** The client does not wait for the closing frames, which are the last events to tell. */
  async waitUntilClosed() {
    await Promise.race([this.closing, sleep(CLOSING_MS, undefined, { ref: false })]);
    this.socket?.terminate();
  }

  async take(collected) {
    const index = this.taken++;
    const receivedAt = (performance.timeOrigin + performance.now()) / 1000;
    this.emit('parcel', { index, receivedAt, ...(await this.describe(collected)) });
    if (!this.params.acknowledge) {
      return;
    }
    if (this.params.acknowledgeDelayMs) {
      await sleep(this.params.acknowledgeDelayMs);
    }
    await collected.ack();
    this.emit('acknowledged', { index });
  }

  async describe(collected) {
    const octets = collected.parcelSerialized;
    const description = { sha256: sha256Hex(octets), size: octets.byteLength, id: null, invalid: null };
    if (this.params.keepOctets) {
      description.octets = await writeOctets(octets);
    }
    if (this.params.parse) {
      const parcel = await Parcel.deserialize(octets).catch((error) => ({ id: null, error }));
      description.id = parcel.id;
      description.invalid = parcel.error?.name ?? (await this.invalidity(collected));
    }
    return description;
  }

  /** A private gateway checks that the sender may reach one of its own endpoints: by its own certificates. */
  async invalidity(collected) {
    try {
      await collected.deserializeAndValidateParcel();
      return null;
    } catch (error) {
      return error.name;
    }
  }
}

async function makeSigner({ key, certificate }) {
  return new ParcelCollectionHandshakeSigner(await readCertificate(certificate), identity(key).privateKey);
}

async function collect(params, { id, emit }) {
  const collection = new Collection(params, emit);
  collections.set(id, collection);
  try {
    return await observeSockets(collection, () => collection.run());
  } finally {
    await collection.waitUntilClosed();
    collections.delete(id);
  }
}

async function stopCollection({ collection, abrupt }) {
  collections.get(collection)?.stop({ abrupt });
  return {};
}

export const commands = { collect, stop_collection: stopCollection };
