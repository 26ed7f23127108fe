// The log: its events, newest first, and new ones as they come.

import { addressOf } from "./address.js";
import { typedClaim } from "./claims.js";
import { element, table } from "./elements.js";
import { moment } from "./figures.js";
import { asking, fetched } from "./ledger.js";
import { evidenceLink, publisher } from "./parts.js";

const LISTED = 50; // events of a page

export async function view(page) {
  const { state, words } = page;
  const before = state.before ?? "";
  const found = await fetched(asking(page.ledger, "events", { backwards: "true", limit: String(LISTED), after: before }), page.signal);
  const last = found.events.at(-1);
  return {
    said: [words.evidenceOf(found.events.length)],
    nodes: [
      before ? null : element("p", { class: "note" }, words.newest), // older ones stay as they are
      table(words.logTable, [words.positions, words.event, words.source, words.recordedAt],
        found.events.map((event) => row(page, event)), { empty: before ? words.noneBefore(before) : words.nothing, texts: true }),
      element("p", { class: "pages" },
        before ? element("a", { href: addressOf(state, { before: null }), "data-key": "newer" }, `↑ ${words.newer}`) : null, " ",
        found.next ? element("a", { href: addressOf(state, { before: Number(last.sequence) }), "data-key": "older" }, `↓ ${words.older}`) : null),
    ],
  };
}

function row(page, event) {
  const { words } = page;
  const position = Number(event.sequence);
  return [
    evidenceLink(page, [position]),
    typedClaim(event.type, event.data ?? {}, words),
    publisher(event.data ?? {}, words),
    moment(event.recordedtime, words),
  ];
}
