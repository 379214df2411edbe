// A private gateway's exchanges over PoWeb, collection apart.
import './sockets.mjs';

import { NodeConnectionParams, ParcelDeliverySigner, PrivateNodeRegistrationRequest } from '@relaycorp/relaynet-core';

import { identity, readCertificate } from './identities.mjs';
import { base64, readOctets, toArrayBuffer } from './octets.mjs';
import { describeConnectionParams, describeRegistration } from './structures.mjs';

// A static import would be resolved before sockets.mjs has run.
const { PoWebClient } = await import('@relaycorp/relaynet-poweb');

const clients = new Map();

/**
 * Clients keep their connections alive, so each server has one client, as in a private gateway.
 *
 * `initLocal` is the library's only public way to plain HTTP. Its time limit is 3 s, where `initRemote`, which demands TLS,
 * has 5 s; for another host or time limit its constructor is called as these two call it.
 */
export function powebClient({ host, port, timeoutMs }) {
  const name = `${host}:${port}:${timeoutMs}`;
  if (!clients.has(name)) {
    const isDefault = host === '127.0.0.1' && !timeoutMs;
    clients.set(name, isDefault ? PoWebClient.initLocal(port) : new PoWebClient(host, port, false, timeoutMs ?? 5000));
  }
  return clients.get(name);
}

async function preRegister({ key, ...server }) {
  return { authorization: base64(await powebClient(server).preRegisterNode(identity(key).publicKey)) };
}

async function completeRegistration({ key, authorization, ...server }) {
  const { privateKey, publicKey } = identity(key);
  const request = new PrivateNodeRegistrationRequest(publicKey, await readOctets(authorization));
  return describeRegistration(await powebClient(server).registerNode(await request.serialize(privateKey)));
}

async function register(params) {
  return completeRegistration({ ...params, ...(await preRegister(params)) });
}

/** The libraries leave fetching to the application; reading is theirs. */
async function getConnectionParams({ host, port }) {
  const response = await fetch(`http://${host}:${port}/connection-params.der`);
  if (!response.ok) {
    throw new Error(`Unexpected response status (${response.status})`);
  }
  const params = await NodeConnectionParams.deserialize(toArrayBuffer(Buffer.from(await response.arrayBuffer())));
  return { contentType: response.headers.get('content-type'), ...(await describeConnectionParams(params)) };
}

async function deliverParcel({ key, certificate, parcel, ...server }) {
  const signer = new ParcelDeliverySigner(await readCertificate(certificate), identity(key).privateKey);
  await powebClient(server).deliverParcel(await readOctets(parcel), signer);
  return {};
}

export const commands = {
  complete_registration: completeRegistration,
  deliver_parcel_poweb: deliverParcel,
  get_connection_params: getConnectionParams,
  pre_register: preRegister,
  register,
};
