// What a gateway on the published library spends on one parcel, alone in this process while it is measured.
import { Parcel } from '@relaycorp/relaynet-core';

import { readCertificates } from './identities.mjs';
import { readOctets } from './octets.mjs';

async function benchVerify({ parcel: encoded, trusted, iterations, warmUp }) {
  const serialized = await readOctets(encoded);
  const trustedCertificates = await readCertificates(trusted);
  const verify = async (times) => {
    for (let done = 0; done < times; done++) {
      const parcel = await Parcel.deserialize(serialized);
      await parcel.validate(trustedCertificates);
    }
  };
  await verify(warmUp ?? 0);
  const wallBefore = performance.now();
  const cpuBefore = process.cpuUsage();
  await verify(iterations);
  const { user, system } = process.cpuUsage(cpuBefore);
  const wallMs = performance.now() - wallBefore;
  return { cpuMicroseconds: (user + system) / iterations, wallMicroseconds: (wallMs * 1000) / iterations };
}

export const commands = { bench_verify: benchVerify };
