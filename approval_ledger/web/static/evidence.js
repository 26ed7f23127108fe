// The evidence: the events behind a figure, with their sources and links, and each as it is stored.

import { addressOf, positionsOf } from "./address.js";
import { claim } from "./claims.js";
import { element } from "./elements.js";
import { moment } from "./figures.js";
import { events } from "./ledger.js";
import { publisher } from "./parts.js";

/** The panel of the positions that the address names, or null where it names none. */
export async function evidence(page) {
  const positions = positionsOf(page.state);
  if (!positions.length) return null;
  const { words, state } = page;
  const found = await events(page.ledger, positions, page.signal);
  return [
    element("div", { class: "panel-head" },
      element("h2", { id: "evidence-title", tabindex: "-1" }, words.evidence),
      element("a", { href: addressOf(state, { evidence: null }), class: "close", "data-key": "close" }, words.close)),
    element("p", { class: "note" }, words.evidenceOf(found.length)),
    element("ol", { class: "events" }, found.map((event) => entry(event, words))),
  ];
}

function entry(event, words) {
  const data = event.data ?? {};
  const title = data.source?.title;
  return element("li", { value: Number(event.sequence) },
    element("p", { class: "kind" },
      `${words.position(Number(event.sequence))}${words.comma}${words.types[event.type] ?? event.type}`),
    element("p", { class: "says" }, claim(event.type, data, words)),
    element("p", { class: "whose" }, publisher(data, words)),
    title ? element("p", { class: "note" }, title) : null,
    data.published ? cells(data.published, words) : null,
    element("p", { class: "note" }, words.recordedOn(moment(event.recordedtime, words))),
    element("details", null,
      element("summary", null, words.stored),
      element("pre", { tabindex: "0" }, JSON.stringify(event, null, 2))));
}

function cells(published, words) {
  return element("details", null,
    element("summary", null, words.cells),
    element("dl", null, Object.entries(published).map(([column, cell]) => [
      element("dt", null, column), element("dd", null, cell),
    ])));
}
