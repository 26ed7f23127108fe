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

/** The events at these positions, in this order. */
export function events(ledger, positions, signal) {
  return Promise.all(positions.map((position) => event(ledger, position, signal)));
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
