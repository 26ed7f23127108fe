// What is asked of a ledger over HTTP, and its events as they come.

/** What the ledger refused or could not do: its own words. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = document.code ?? "";
  }
}

/** The address of a question; parameters that are null or empty are left out. */
export function asking(ledger, path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  const asked = query.size ? `?${query}` : "";
  return `/ledgers/${encodeURIComponent(ledger)}/${path}${asked}`;
}

/** The document at an address. Throws a Problem, or what `fetch` throws where the server is away or `signal` is aborted. */
export async function fetched(address, signal) {
  const response = await fetch(address, { signal, headers: { Accept: "application/json, application/problem+json" } });
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  return response.json();
}

const AT_ONCE = 20; // events that are asked for one by one
const PAGE = 1_000; // and of a page otherwise
const kept = new Map();

/** The event at a position, which never changes. */
export async function event(ledger, position, signal) {
  const address = asking(ledger, `events/${position}`);
  if (!kept.has(address)) {
    const response = await fetch(address, { signal });
    if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
    kept.set(address, await response.json());
  }
  return kept.get(address);
}

/** The events at these positions, in this order; a Problem in place of one that there is not. */
export async function events(ledger, positions, signal) {
  const unread = positions.filter((position) => !kept.has(asking(ledger, `events/${position}`))).sort((a, b) => a - b);
  if (unread.length > AT_ONCE) await readPages(ledger, unread, signal);
  return Promise.all(positions.map((position) => event(ledger, position, signal).catch((error) => {
    if (error instanceof Problem && error.status === 404) return error;
    throw error;
  })));
}

async function readPages(ledger, positions, signal) {
  for (let index = 0; index < positions.length;) {
    const limit = Math.min(PAGE, positions.at(-1) - positions[index] + 1);
    const { events: found } = await fetched(asking(ledger, "events", { after: String(positions[index] - 1), limit: String(limit) }), signal);
    if (!found.length) return;
    for (const each of found) kept.set(asking(ledger, `events/${Number(each.sequence)}`), each);
    const read = Number(found.at(-1).sequence);
    while (positions[index] <= read) index += 1;
  }
}

/** Forgets the events that were read. */
export const forget = () => kept.clear();

/** Calls `come` with each new event, and what the connection does: `opened`, `lost`, and `refused`, after which it is over. */
export function follow(ledger, come, { opened, lost, refused }) {
  const source = new EventSource(asking(ledger, "events/stream"));
  source.onopen = opened;
  source.onerror = () => {
    lost();
    if (source.readyState === EventSource.CLOSED) refused();
  };
  source.onmessage = (message) => come(JSON.parse(message.data));
  return source;
}
