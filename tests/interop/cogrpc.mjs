// A courier's exchanges over CogRPC. Errors are part of the answer, because what came before them counts as well.
import { setTimeout as sleep } from 'node:timers/promises';

import { CogRPCClient } from '@relaycorp/cogrpc';

import { readOctets, sha256Hex, writeOctets } from './octets.mjs';

// The library limits calls to 3 s; where it does not end even so, this does.
const PATIENCE_MS = 20_000;

/** `initLan` is the library's way to TLS with certificates that no authority issued, as couriers have them. */
async function connect({ host, port, tls }) {
  return tls ? CogRPCClient.initLan(`${host}:${port}`) : CogRPCClient.initLocalhost(port);
}

async function withClient(params, exchange) {
  const startedAt = performance.now();
  const elapsedMs = () => performance.now() - startedAt;
  const answer = { error: null };
  const client = await connect(params);
  const patience = new AbortController();
  try {
    await Promise.race([
      exchange(client, answer, elapsedMs),
      sleep(params.patienceMs ?? PATIENCE_MS, undefined, { signal: patience.signal }).then(() => {
        throw new Error('The library did not end the call');
      }),
    ]);
  } catch (error) {
    answer.error = describeError(error);
  } finally {
    patience.abort();
    client.close();
  }
  return { ...answer, elapsedMs: elapsedMs() };
}

/** The library wraps what gRPC raises, as in "5 NOT_FOUND: …". */
function describeError(error) {
  const cause = typeof error.cause === 'function' ? error.cause() : null;
  return { name: error.name, message: error.message, status: /^\d+ (\w+):/.exec(cause?.message)?.[1] ?? null };
}

/** The library may end a call before all pauses are over, in which case the last cargoes are never sent. */
async function deliverCargo({ cargoes, pauseMs, ...params }) {
  const octets = await Promise.all(cargoes.map(readOctets));
  return withClient(params, async (client, answer, elapsedMs) => {
    Object.assign(answer, { sent: 0, acknowledgements: [] });
    async function* generate() {
      for (const [index, cargo] of octets.entries()) {
        if (index && pauseMs) {
          await sleep(pauseMs);
        }
        answer.sent++;
        yield { localId: String(index), cargo: Buffer.from(cargo) };
      }
    }
    for await (const localId of client.deliverCargo(generate())) {
      answer.acknowledgements.push({ index: Number(localId), atMs: elapsedMs() });
    }
  });
}

/** The library acknowledges each cargo when the next one is asked for. */
async function collectCargo({ cca, acknowledge, pauseMs, maxCargoes, ...params }) {
  const ccaSerialized = Buffer.from(await readOctets(cca));
  return withClient(params, async (client, answer, elapsedMs) => {
    answer.cargoes = [];
    if (!acknowledge) {
      silence(client);
    }
    for await (const cargo of client.collectCargo(ccaSerialized)) {
      const atMs = elapsedMs();
      answer.cargoes.push({ octets: await writeOctets(cargo), sha256: sha256Hex(cargo), size: cargo.byteLength, atMs });
      if (answer.cargoes.length === maxCargoes) {
        break;
      }
      if (pauseMs) {
        await sleep(pauseMs);
      }
    }
  });
}

/** A courier that takes cargo and acknowledges none, which the library has no option for. */
function silence(client) {
  const relay = client.grpcClient;
  const collect = relay.collectCargo.bind(relay);
  relay.collectCargo = (...args) => Object.assign(collect(...args), { write: () => true });
}

export const commands = { collect_cargo: collectCargo, deliver_cargo: deliverCargo };
