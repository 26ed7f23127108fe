// Sources: every claim, who reports it, and how many independent origins that leaves.

import { typedClaim } from "./claims.js";
import { table } from "./elements.js";
import { chart, doubt, evidenceLink, spelled } from "./parts.js";

const LISTED = 300; // claims

export async function view(page) {
  const { words } = page;
  const answer = await page.ask("sources", { limit: String(LISTED) });
  return {
    answer,
    data: ["sources", {}],
    said: [words.evidenceOf(answer.answers.length)],
    nodes: [
      chart(page, "sources", answer.answers),
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
