// The evidence: the events behind a figure, with their sources and links, and each event as it is stored.

import { addressOf, figureOf, positionsOf } from "./address.js";
import { claim } from "./claims.js";
import { element } from "./elements.js";
import { moment } from "./figures.js";
import { events, Problem } from "./ledger.js";
import { bothSides, publisher } from "./parts.js";

const LISTED = 200; // events, and as many again on demand

/** The panel for the positions that the address names: its `nodes`, and the `positions`; null if the address names none. */
export async function evidence(page) {
  const { words, state } = page;
  if (!state.evidence) return null;
  const whole = state.evidence === "all";
  const positions = whole ? await wholeEvidence(page) : positionsOf(state);
  if (!positions.length && !whole) return null;
  const list = element("ol", { class: "events" });
  const rest = element("p", null);
  const listMore = async (signal) => {
    const from = list.childElementCount;
    const found = await events(page.ledger, positions.slice(from, from + LISTED), signal);
    list.append(...found.map((event, index) => entry(event, positions[from + index], words)));
    const left = positions.length - list.childElementCount;
    rest.replaceChildren(...(left ? [element("button", { type: "button", onclick: () => listMore() }, words.more(left))] : []));
  };
  await listMore(page.signal);
  const more = whole ? 0 : Number(state.more ?? 0);
  const nodes = [
    element("div", { class: "panel-head" },
      element("h2", { id: "evidence-title", tabindex: "-1" }, words.evidence),
      element("a", { href: addressOf(state, { evidence: null }), class: "close", "data-key": "close" }, words.close)),
    element("p", { class: "note" },
      more ? words.evidenceSome(positions.length, positions.length + more) : words.evidenceOf(positions.length),
      more > 0 && state.of && [". ", element("a", {
        href: addressOf(state, { evidence: "all", of: state.of }), "data-key": "all-evidence",
      }, words.evidenceAll)]),
    list,
    rest,
  ];
  return { nodes, positions };
}

/** The positions of all the evidence for the figure that the address names. */
async function wholeEvidence(page) {
  const [view, ...of] = figureOf(page.state);
  const day = view === "totals" ? of[3] : null;
  const answer = await page.ask(view, { whole_evidence: "true", ...(day && { valid_at: day }) });
  const same = (...parts) => parts.every((part, index) => (part ?? null) === (of[index] ?? null));
  for (const each of answer.answers) {
    const terms = [each.authority, each.instrument, each.unit];
    if (view === "batches" && same(...terms, each.ordinal, each.label)) return bothSides(each.evidence.size)[0];
    if (view === "totals" && same(...terms)) return bothSides(each.evidence)[0];
  }
  return [];
}

function entry(event, position, words) {
  if (event instanceof Problem) {
    return element("p", { class: "wrong" }, `${words.position(position)}${words.colon}${event.message}`);
  }
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
      element("pre", { tabindex: "0" }, writtenOut(JSON.stringify(event, null, 2)))));
}

function cells(published, words) {
  return element("details", null,
    element("summary", null, words.cells),
    element("dl", null, Object.entries(published).map(([column, cell]) => [
      element("dt", null, column), element("dd", null, writtenOut(cell)),
    ])));
}

/** The text with bidirectional controls written as in JSON: a cell may hold them, and would be shown as another text. */
function writtenOut(text) {
  return text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
