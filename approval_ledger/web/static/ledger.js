// What is asked of a ledger over HTTP, and its events as they come.

import { held } from "./token.js";

/** What the ledger refused or could not do: its own words; and the token that was sent, null where none was. */
export class Problem extends Error {
  constructor(status, document, token) {
    super(document.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = document.code ?? "";
    this.token = token;
  }

  /** Whether a token is needed, or another one than was sent. */
  get ofAccess() {
    return this.status === 401 || this.code === "insufficient-scope";
  }
}

/** The address of a question, seen from the page, wherever a proxy puts that; parameters that are null or empty are left out. */
export function asking(ledger, path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  const asked = query.size ? `?${query}` : "";
  return `ledgers/${encodeURIComponent(ledger)}/${path}${asked}`;
}

/** The answer to a request, sent with `token`, which by default is the ledger's, if there is one. Throws a Problem, or what `fetch`
 * throws if the server cannot be reached or a `signal` is aborted. */
export async function ask(address, { headers, token = held(decodeURIComponent(address.split("/")[1])), ...how } = {}) {
  const response = await fetch(address, {
    ...how,
    headers: { ...headers, ...(token && { Authorization: `Bearer ${token}` }) },
    ...(token && { cache: "no-store" }), // a browser would show it to whoever comes after
  });
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})), token);
  return response;
}

/** The document at an address. Throws what `ask` throws. */
export async function fetched(address, signal) {
  const response = await ask(address, { signal, headers: { Accept: "application/json, application/problem+json" } });
  return response.json();
}

const AT_ONCE = 20; // events that are asked for one by one
const PAGE = 1_000; // and of a page otherwise
const kept = new Map();

/** The event at a position, which never changes. */
export async function event(ledger, position, signal) {
  const address = asking(ledger, `events/${position}`);
  if (!kept.has(address)) {
    const response = await ask(address, { signal });
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

/** The events at these positions where all of them were read before; else null. */
export function eventsRead(ledger, positions) {
  const found = positions.map((position) => kept.get(asking(ledger, `events/${position}`)));
  return found.every(Boolean) ? found : null;
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

const COME_BACK = 2_000; // milliseconds, until the server says otherwise

/** Calls `come` with each new event, `opened` and `lost` as the connection changes, and `refused` with the Problem, which ends it.
 * It reconnects by itself if the server went away, and goes on after the last event that it received.
 *
 * An EventSource would do the same, but cannot send a token, and does not say why it was refused. */
export function follow(ledger, come, { opened, lost, refused }) {
  const controller = new AbortController();
  const { signal } = controller;
  const stream = { last: null, wait: COME_BACK };
  const read = async () => {
    const headers = { Accept: "text/event-stream", ...(stream.last && { "Last-Event-ID": stream.last }) };
    const response = await ask(asking(ledger, "events/stream"), { signal, headers, cache: "no-store" });
    opened();
    await eachMessage(response.body, stream, (data) => signal.aborted || come(JSON.parse(data)));
  };
  const followed = async () => {
    while (!signal.aborted) {
      const error = await read().catch((reason) => reason);
      if (signal.aborted) return;
      lost();
      if (error instanceof Problem) return refused(error);
      await new Promise((over) => setTimeout(over, stream.wait));
    }
  };
  followed();
  return { close: () => controller.abort() };
}

/** Reads server-sent events until there are no more: `told` gets the data of each, `stream` the last id and how long to wait. A
 * message with a name is not an event of the log: it says that the log is another one now, and resets the last id. */
async function eachMessage(body, stream, told) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let data = [];
  let named = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (text + value).split("\n");
    text = lines.pop();
    for (const line of lines) {
      const [, field, content] = /^([a-z]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (line === "") {
        if (data.length && !named) told(data.join("\n"));
        data = [];
        named = false;
      } else if (field === "data") data.push(content ?? "");
      else if (field === "event") named = true;
      else if (field === "id") stream.last = content;
      else if (field === "retry") stream.wait = Number(content);
    }
  }
}
