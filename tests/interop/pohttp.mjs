// Delivery over PoHTTP, as another gateway or an Internet endpoint does it.
import { deliverParcel } from '@relaycorp/relaynet-pohttp';

import { readOctets } from './octets.mjs';

/** Given a URL instead of an Internet address, the library looks nothing up in the DNS. */
async function deliverParcelPohttp({ url, parcel, timeoutMs, maxRedirects }) {
  const options = { useTls: url.startsWith('https:'), timeout: timeoutMs, maxRedirects };
  const response = await deliverParcel(url, await readOctets(parcel), options);
  return { status: response.status };
}

export const commands = { deliver_parcel_pohttp: deliverParcelPohttp };
