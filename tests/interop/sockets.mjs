// The PoWeb client keeps its WebSocket to itself, reconnects in keep-alive mode without saying so, and offers no way to
// stop while it waits for a parcel. So the `ws` module is given a WebSocket that does everything as before and, besides,
// tells the collection on whose behalf it was opened when it opened and closed. This module must be loaded before the
// client is.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const WebSocket = require('ws');
const currentObserver = new AsyncLocalStorage();

class ObservedWebSocket extends WebSocket {
  constructor(...args) {
    super(...args);
    const observer = currentObserver.getStore();
    observer?.created(this);
    this.once('close', (code, reason) => observer?.closed({ code, reason: reason.toString() }));
  }
}
ObservedWebSocket.createWebSocketStream = WebSocket.createWebSocketStream;
require.cache[require.resolve('ws')].exports = ObservedWebSocket;

export function observeSockets(observer, run) {
  return currentObserver.run(observer, run);
}

/** Fails the client's collection as a broken connection would, then closes with 1000 or cuts the connection. */
export function abandon(socket, { abrupt }) {
  socket.on('error', () => {}); // Ending a connection half made raises a second error, which nobody waits for.
  socket.emit('error', new Error('The collection was stopped'));
  if (abrupt) {
    socket.terminate();
  } else {
    socket.close(1000);
  }
}
