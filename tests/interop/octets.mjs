// Octets cross the pipe as base64, or, when they are many, as {file}: a path in the spool directory.
import { createHash, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const INLINE_LIMIT = 65_536;
const spoolDirectory = process.env.AWALA_INTEROP_SPOOL;

export async function readOctets(encoded) {
  const octets = typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : await readFile(encoded.file);
  return toArrayBuffer(octets);
}

/** Whoever asked for the octets deletes the file. */
export async function writeOctets(octets) {
  const buffer = Buffer.from(octets);
  if (buffer.byteLength <= INLINE_LIMIT || !spoolDirectory) {
    return buffer.toString('base64');
  }
  const file = join(spoolDirectory, randomUUID());
  await writeFile(file, buffer);
  return { file };
}

/** The libraries want an ArrayBuffer of its own, which a small Buffer does not have. */
export function toArrayBuffer(buffer) {
  return buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength);
}

export function base64(octets) {
  return Buffer.from(octets).toString('base64');
}

export function sha256Hex(octets) {
  return createHash('sha256').update(Buffer.from(octets)).digest('hex');
}
