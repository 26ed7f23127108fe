// Shares: each estimator's stocks of models and shares, as ranges and never as points.

import { element, table } from "./elements.js";
import { bounds, day, percent } from "./figures.js";
import { chart, contradictions, doubt, evidenceLink } from "./parts.js";

export async function view(page) {
  const { words } = page;
  const answer = await page.ask("shares");
  const rows = answer.answers
    .toSorted((a, b) => a.as_of.localeCompare(b.as_of))
    .flatMap((market) => market.regions.map((region) => row(page, market, region)));
  return {
    answer,
    data: ["shares", {}],
    said: answer.answers.map((each) => `${each.estimator} ${day(each.as_of, words)}`),
    nodes: [
      chart(page, "shares", answer.answers),
      contradictions(page, answer.answers, "count"),
      table(words.sharesTable, [words.estimator, words.day, words.region, words.stock, words.share, words.evidence], rows,
        { figures: [3, 4], empty: words.nothing, texts: true }),
    ],
  };
}

function row(page, market, region) {
  const { words } = page;
  const any = region.share.low === 0 && region.share.high === 100;
  const rounded = region.rounding.map((points) => words.rounding(points)).join(words.comma);
  return [
    market.estimator,
    [day(market.as_of, words), doubt(market, words)],
    words.term(region.region),
    `${bounds(region.count)} (${words.term(market.unit)})`,
    region.region === "world" ? "" : any ? words.anyShare
      : [percent(region.share), rounded && element("span", { class: "note" }, ` ${rounded}`)],
    evidenceLink(page, [...new Set([...region.evidence.count, ...region.evidence.share])].sort((a, b) => a - b), region.evidence.more),
  ];
}
