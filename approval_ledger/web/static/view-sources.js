// Sources: every claim, who reports it, and how many independent origins that leaves.

import { typedClaim } from "./claims.js";
import { element, table } from "./elements.js";
import { asking } from "./ledger.js";
import { chart, doubt, evidenceLink, spelled } from "./parts.js";

const LISTED = 300; // claims

export async function view(page) {
  const { words } = page;
  const limit = String(LISTED);
  const answer = await page.ask("sources", { limit });
  const full = answer.answers.length === LISTED; // there may be more
  return {
    answer,
    data: ["sources", full ? { limit } : {}],
    said: [words.evidenceOf(answer.answers.length)],
    nodes: [
      chart(page, "sources", answer.answers),
      full ? element("p", { class: "note" }, words.claimsListed(LISTED),
        ["json", "csv"].map((format) => [
          " ", element("a", { href: asking(page.ledger, "sources", { ...page.axes, format }) }, format.toUpperCase()),
        ])) : null,
      table(words.sourcesTable, [words.claim, words.reports, words.origins, words.evidence],
        answer.answers.map((each) => [
          [typedClaim(each.type, each.says, words), doubt(each, words)],
          String(each.reports.length),
          `${each.origins}${words.colon}${each.independent.map((origin) => spelled(origin, each.reports)).join(words.comma)}`,
          evidenceLink(page, each.reports.map((report) => report.position)),
        ]),
        { figures: [1], empty: words.nothing, texts: true }),
    ],
  };
}
