// Lets the functional tests drive the network's published clients: JSON lines in, JSON lines out.
//
//   {"id": 1, "command": "register", "params": {…}}
//   {"id": 1, "event": "parcel", "data": {…}}                 (any number, from streaming commands)
//   {"id": 1, "ok": true, "result": {…}}
//   {"id": 1, "ok": false, "error": {"name": …, "message": …}}
//
// Commands run side by side. Nothing here knows the protocol; every octet is made and read by the libraries.
import { createInterface } from 'node:readline';

import { commands as bench } from './bench.mjs';
import { commands as cargo } from './cargo.mjs';
import { commands as cogrpc } from './cogrpc.mjs';
import { commands as collection } from './collection.mjs';
import { commands as identities } from './identities.mjs';
import { commands as messages } from './messages.mjs';
import { commands as pings } from './pings.mjs';
import { commands as pohttp } from './pohttp.mjs';
import { commands as poweb } from './poweb.mjs';
import { commands as privateGateways } from './private-gateways.mjs';
import { commands as structures } from './structures.mjs';

const commands = {
  ...bench,
  ...cargo,
  ...cogrpc,
  ...collection,
  ...identities,
  ...messages,
  ...pings,
  ...pohttp,
  ...poweb,
  ...privateGateways,
  ...structures,
};

console.log = console.error; // The standard output belongs to the answers, whatever a library wants to say.

function send(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function answer({ id, command, params }) {
  try {
    if (!Object.hasOwn(commands, command)) {
      throw new Error(`Unknown command ${command}`);
    }
    const emit = (event, data) => send({ id, event, data });
    send({ id, ok: true, result: await commands[command](params, { id, emit }) });
  } catch (error) {
    send({ id, ok: false, error: { name: error.name, message: error.message } });
  }
}

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on('line', (line) => answer(JSON.parse(line)));
lines.on('close', () => process.exit(0));
send({ event: 'ready', data: { node: process.version } });
