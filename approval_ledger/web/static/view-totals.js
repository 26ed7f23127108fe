// Totals: the figures with their uncertainty, over time, with contradictions and every day on which they may change.

import { counted } from "./claims.js";
import { element, table } from "./elements.js";
import { bounds, day } from "./figures.js";
import { bothSides, chart, contradictions, evidenceLink, overNamed } from "./parts.js";

const PARTS = ["authority", "instrument", "unit"];

export async function view(page) {
  const { state, words } = page;
  const chosen = Object.fromEntries(PARTS.map((part) => [part, state[part]]));
  const answer = await page.ask("totals", { steps: "true", ...chosen });
  const found = answer.answers.toSorted((a, b) => b.steps.length - a.steps.length);
  const all = await page.kinds();
  return {
    answer,
    data: ["totals", { steps: "true", ...chosen }],
    said: found.map((each) => `${counted(each, words)} ${bounds(each.total)}`),
    nodes: [
      choice(page, all),
      found.length ? element("ul", { class: "headlines" }, found.map((each) => headline(page, each))) : element("p", null, words.nothing),
      chart(page, "totals", found, chosen),
      contradictions(page, found, "total"),
      found.map((each) => steps(page, each)),
    ],
  };
}

const figure = (each, step) => ["totals", ...PARTS.map((part) => each[part]), step?.on].filter((part) => part !== undefined);

function headline(page, each) {
  const { words } = page;
  return element("li", null,
    element("p", { class: "figure" }, bounds(each.total)),
    element("p", { class: "counted" }, `${counted(each, words)}${words.comma}${words.asOf(day(each.as_of, words))}`),
    element("p", { class: "parts" },
      `${words.named}${words.colon}${bounds({ low: each.named, high: each.named })}`,
      overNamed(each.named, each.total, words),
      `; ${words.undisclosed.toLowerCase()}${words.colon}${bounds(each.undisclosed)}`,
      each.in_force ? `; ${words.inForce.toLowerCase()}${words.colon}${bounds(each.in_force)}` : null),
    element("p", null, `${words.evidence}${words.colon}`, evidenceLink(page, ...bothSides(each.evidence), figure(each))));
}

function choice(page, all) {
  const { state, words } = page;
  const chosen = PARTS.map((part) => state[part]).filter(Boolean);
  if (all.length < 2 && !chosen.length) return null;
  const selected = all.findIndex((each) => PARTS.every((part) => each[part] === state[part]));
  return element("p", { class: "choice" },
    element("label", { for: "counted" }, words.counted), " ",
    element("select", {
      id: "counted", "data-key": "counted",
      onchange: (event) => {
        const each = all[event.target.value];
        page.go(Object.fromEntries(PARTS.map((part) => [part, each?.[part] ?? null])));
      },
    },
    element("option", { value: "" }, words.all),
    chosen.length && selected < 0 ? element("option", { value: "", selected: true }, chosen.join(words.comma)) : null,
    all.map((each, index) => element("option", { value: index, selected: index === selected }, counted(each, words)))));
}

function steps(page, each) {
  const { words } = page;
  const force = each.steps.some((step) => step.in_force);
  return table(words.steps(counted(each, words)),
    [words.day, words.total, words.named, words.undisclosed, ...(force ? [words.inForce] : []), words.evidence],
    each.steps.toReversed().map((step) => [
      [day(step.on, words), overNamed(step.named, step.total, words)],
      bounds(step.total), bounds({ low: step.named, high: step.named }), bounds(step.undisclosed),
      ...(force ? [step.in_force ? bounds(step.in_force) : ""] : []),
      evidenceLink(page, ...bothSides(step.evidence), figure(each, step)),
    ]),
    { figures: [1, 2, 3, ...(force ? [4] : [])], empty: words.nothing });
}
