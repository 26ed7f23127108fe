// Projections: how far each has read the log, which generation is live, and what could not be applied.

import { element, table } from "./elements.js";
import { number } from "./figures.js";
import { asking, fetched } from "./ledger.js";
import { evidenceLink } from "./parts.js";
import { adminForm, rebuildOf } from "./rebuilding.js";

const AGAIN = 2_000; // milliseconds until the next look: workers advance projections without notice

export async function view(page) {
  const { words } = page;
  const status = await fetched(asking(page.ledger, "status"), page.signal);
  const parked = await parkedEvents(page, status);
  page.again(AGAIN);
  return {
    said: status.projections.map((each) => `${words.views[each.projection]} ${words.position(each.position)}`),
    nodes: [
      element("dl", { class: "facts" },
        fact(words.head, status.head === null ? "?" : number(status.head)),
        fact(words.workers, String(status.workers ?? "?")),
        fact(words.queue, String(status.queue ?? "?")),
        fact(words.server, status.server.software === null ? "?" : `${status.server.software} ${status.server.version}`)),
      status.server.durable === null ? null
        : element("p", { class: status.server.durable ? "note" : "wrong" }, status.server.durable ? words.durable : words.notDurable),
      status.unseen.map((says) => element("p", { class: "note" }, words.unseen(says))),
      status.says.map((says) => element("p", { class: "wrong" }, says)),
      adminForm(page),
      table(words.projectionsTable,
        [words.projection, words.version, words.positions, words.lag, words.generation, words.digest, words.parked, words.rebuild],
        status.projections.map((each) => [
          words.views[each.projection], String(each.version), number(each.position),
          each.lag === null ? "?" : number(each.lag), [String(each.generation), rebuilt(each, status.head, words)],
          each.digest === null ? "" : element("code", { title: each.digest }, each.digest.slice(0, 16)),
          parked[each.projection] ? evidenceLink(page, parked[each.projection]) : "0",
          rebuildOf(page, each),
        ]),
        { figures: [1, 2, 3, 4, 6] }),
      element("p", { class: "note" }, words.replaying),
    ],
  };
}

/** The positions that could not be applied, by projection: an answer names them. */
async function parkedEvents(page, status) {
  const having = status.projections.filter((each) => each.parked);
  const answers = await Promise.all(having.map((each) => fetched(asking(page.ledger, each.projection), page.signal)));
  return Object.fromEntries(answers.map((answer) => [answer.projection, answer.parked ?? []]));
}

/** The progress of a rebuild that is being made beside the live generation; null if there is none. */
function rebuilt({ projection, beside }, head, words) {
  if (!beside) return null;
  const says = words.rebuilding(beside.generation, number(beside.position), number(head));
  return element("div", { class: "note" },
    element("progress", { max: head, value: beside.position, "aria-label": `${words.views[projection]}: ${says}` }), " ", says);
}

const fact = (term, value) => element("div", null, element("dt", null, term), element("dd", null, value));
