// Batches: how large each is, who is named, and how many are not.

import { batchName, counted } from "./claims.js";
import { table } from "./elements.js";
import { bounds, day } from "./figures.js";
import { bothSides, chart, contradictions, doubt, evidenceLink, overNamed } from "./parts.js";

const SHOWN = 8; // names of a batch

export async function view(page) {
  const { words } = page;
  const answer = await page.ask("batches");
  const found = answer.answers.toSorted((a, b) => first(a).localeCompare(first(b)));
  return {
    answer,
    data: ["batches", {}],
    said: found.map((each) => `${batchName(each, words)} ${bounds(each.size)}`),
    nodes: [
      chart(page, "batches", answer.answers),
      contradictions(page, found, "size", (each) => `${batchName(each, words)}${words.comma}${counted(each, words)}`),
      table(words.batchesTable,
        [words.announced, words.authority, words.size, words.named, words.undisclosed, words.before, words.names, words.evidence],
        found.map((each) => [
          [`${batchName(each, words)}${words.comma}${each.announced_on.map((on) => day(on, words)).join(" / ")}`, doubt(each, words), overNamed(each.named, each.size, words)],
          counted(each, words), bounds(each.size), String(each.named), bounds(each.undisclosed), bounds(each.before),
          names(each, words), evidenceLink(page, ...bothSides(each.evidence.size),
            ["batches", each.authority, each.instrument, each.unit, each.ordinal ?? null, each.label ?? null]),
        ]),
        { figures: [2, 3, 4, 5], empty: words.nothing, texts: true }),
    ],
  };
}

const first = (batch) => batch.announced_on.toSorted()[0] ?? "9999";

function names({ names: named }, words) {
  const shown = named.slice(0, SHOWN).map((each) => (each.item ? `${each.company} (${each.item})` : each.company));
  return [...shown, ...(named.length > SHOWN ? [words.more(named.length - SHOWN)] : [])].join(words.comma);
}
