// What several views share: links to evidence, charts, and contradictions with their reports side by side.

import { addressOf } from "./address.js";
import { claim } from "./claims.js";
import { element, isolated, outside } from "./elements.js";
import { bounds, day } from "./figures.js";
import { heightOf } from "./heights.js";
import { asking, events, eventsRead, fetched, Problem } from "./ledger.js";

const LISTED = 3; // positions that a link to evidence names
const WIDTHS = [320, 2000]; // pixels that a chart may be wide

/** A link that opens the evidence at these positions. `more` is how many others are not listed, and `of` says which figure it is
 * for: the view, and what tells the figure from others there. */
export function evidenceLink(page, positions, more = 0, of = null) {
  const { state, words } = page;
  if (!positions.length) return words.none;
  const others = positions.length - LISTED + more;
  const listed = positions.slice(0, LISTED).join(", ");
  return element("a", {
    href: addressOf(state, { evidence: positions.join(","), ...(more && { more: String(more), of: of && JSON.stringify(of) }) }),
    "data-key": `evidence-${positions.join("-")}`,
    class: "evidence",
    title: words.evidence,
  }, others > 0 ? `${listed} ${words.more(others)}` : listed);
}

/** The positions on both sides of the evidence, each once, and how many more there are. */
export function bothSides({ low, high, more }) {
  return [[...new Set([...low, ...high])].sort((a, b) => a - b), more];
}

/** Says that something may have happened after the day that is asked about; null if that is certain not to be so. */
export function doubt(entry, words) {
  return entry.perhaps ? element("span", { class: "doubt" }, ` ${words.perhaps}`) : null;
}

/** Says that more are known by name than the lower bound; null if that is not so. */
export function overNamed(named, { low }, words) {
  return named > low ? element("span", { class: "doubt" }, ` ${words.moreNamed}`) : null;
}

/** Says that reports about it contradict one another; null if they do not. */
export function disputed({ contradictions: found }, words) {
  return found.length ? element("span", { class: "doubt" }, ` ${words.disputed}`) : null;
}

const heights = new Map(); // of the charts that were drawn, so that drawing one again moves nothing

/** The figure of a chart, which is drawn once the rest is on the screen, in the space reserved for it, with its description in words.
 * `answers` are what it draws. */
export function chart(page, name, answers, parameters = {}) {
  const drawn = element("div", { class: "drawn" }, element("p", { class: "note" }, page.words.drawing));
  const words = element("p", { id: `words-of-${name}` });
  const figure = element("figure", { class: "chart", "data-chart": name },
    drawn,
    element("details", { "data-key": `words-${name}` }, element("summary", null, page.words.inWords), words));
  if (document.documentElement.dataset.charts !== "yes") {
    return element("figure", { class: "chart" }, element("p", { class: "note" }, page.words.noCharts));
  }
  const key = () => [page.ledger, name, page.words.language, widthOf(drawn), ...Object.values(parameters)].join("\n");
  page.placed(() => {
    drawn.style.minHeight = `${heights.get(key()) ?? heightOf(name, answers, widthOf(drawn))}px`;
  });
  page.after(async () => {
    await draw(page, name, parameters, drawn, words);
    if (!page.signal.aborted) heights.set(key(), drawn.querySelector("svg").getBoundingClientRect().height);
  });
  return figure;
}

const widthOf = (drawn) => Math.min(WIDTHS[1], Math.max(WIDTHS[0], Math.floor(drawn.clientWidth / 10) * 10));

async function draw(page, name, parameters, drawn, words) {
  const width = widthOf(drawn);
  const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const asked = { ...page.axes, ...parameters, language: page.words.language, theme, width };
  const [specification, { embed }] = await Promise.all([
    fetched(asking(page.ledger, `charts/${name}`, asked), page.signal),
    import(new URL(document.documentElement.dataset.vega, document.baseURI)), // else seen from this file
  ]);
  if (page.signal.aborted) return;
  words.replaceChildren(...isolated(specification.description));
  // Expressions are interpreted, not compiled: the page's policy forbids evaluating text as a script.
  const { view } = await embed(drawn, specification, {
    actions: false, ast: true, defaultStyle: false, renderer: "svg", tooltip: tell,
  });
  view.addEventListener("click", (_, item) => {
    const { evidence, more, of } = item?.datum ?? {};
    if (evidence?.length) page.go({ evidence: [...evidence].join(","), ...(more && { more: String(more), of: of && JSON.stringify(of) }) });
  });
  // Read one after another, the texts in a chart make no sense: it is one picture, described by its words and by the table.
  drawn.querySelector("svg").setAttribute("aria-hidden", "true");
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", [specification.title.text].flat().join(" "));
  drawn.setAttribute("aria-describedby", words.id);
  drawn.setAttribute("data-drawn", theme);
}

/** Shows what a mark says next to the pointer, as text. */
function tell(_, event, __, value) {
  let tip = document.getElementById("tip");
  if (!tip) document.body.append(tip = element("div", { id: "tip", class: "tip", hidden: true, "aria-hidden": "true" }));
  const text = typeof value === "object" && value !== null ? value.says : value;
  tip.hidden = !text;
  if (!text) return;
  tip.replaceChildren(...isolated(text));
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8);
  tip.style.transform = `translate(${Math.max(8, left)}px, ${Math.max(8, top)}px)`;
}

const folded = (text) => text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();

/** An origin as one of these sources writes it, because answers have names folded for comparison. */
export function spelled(origin, sources) {
  const written = sources.flatMap((source) => (source ? [source.publisher, source.derived_from?.publisher] : []));
  return written.find((text) => text && folded(text) === origin) ?? origin;
}

/** The contradictions of some answers, each once, with their reports side by side. If one concerns several batches, what each origin
 * alone would give is listed for every batch, by the name that `called` returns. */
export function contradictions(page, answers, figure, called = null) {
  const { words } = page;
  const once = new Map();
  for (const of of answers) for (const each of of.contradictions) {
    once.set(each.says, [...(once.get(each.says) ?? []), { of, ...each }]);
  }
  if (!once.size) return null;
  const shown = [...once.values()].map((told) => {
    const [each] = told;
    const reports = element("ul", { class: "side-by-side" });
    const differing = told.filter(({ alone = [] }) => new Set(alone.map((of) => bounds(of[figure]))).size > 1);
    const notes = element("div", null);
    const tellAlone = (sources) => {
      const lines = differing.map(({ of, alone }) => {
        const line = alone.map(({ origin, ...by }) => words.alone(words.origin(spelled(origin, sources)), bounds(by[figure]))).join("; ");
        return called && told.length > 1 ? `${called(of)}${words.colon}${line}` : line;
      });
      notes.replaceChildren(...[...new Set(lines)].map((line) => element("p", { class: "note" }, line)));
    };
    const show = (read) => {
      tellAlone(read.map((report) => report.data?.source));
      reports.replaceChildren(...read.map((report) => element("li", null, reported(page, report))));
    };
    show(eventsRead(page.ledger, each.events) ?? []); // at once if they were read before, so that new events do not make the page jump
    page.after(async () => {
      if (reports.firstChild) return;
      show((await events(page.ledger, each.events, page.signal)).filter((report) => !(report instanceof Problem)));
    });
    return element("li", { class: "contradiction" },
      element("p", null, words.contradiction(each.says, each.events)), reports, notes);
  });
  return element("section", { class: "contradictions", "aria-labelledby": "contradictions" },
    element("h2", { id: "contradictions" }, words.contradictions),
    element("p", { class: "note" }, words.contradictionsNote),
    element("ul", null, shown));
}

/** One report in short: who, what, when, and where to read it. */
export function reported(page, event) {
  const { words } = page;
  return [
    element("p", { class: "says" }, claim(event.type, event.data, words)),
    element("p", { class: "whose" }, publisher(event.data, words)),
    evidenceLinkTo(page, Number(event.sequence)),
  ];
}

function evidenceLinkTo(page, position) {
  return element("a", {
    href: addressOf(page.state, { evidence: String(position) }), "data-key": `event-${position}`, class: "evidence",
  }, page.words.position(position));
}

/** Who published a report, whom they repeat, and when. */
export function publisher(data, words) {
  const source = data.source;
  if (!source) return data.actor ?? "";
  const parts = [
    source.url ? outside(source.url, source.publisher) : source.publisher,
    source.derived_from && [
      `${words.comma}${words.repeats} `,
      source.derived_from.url ? outside(source.derived_from.url, source.derived_from.publisher) : source.derived_from.publisher,
    ],
    source.published_on && `${words.comma}${words.publishedOn(day(source.published_on, words))}`,
  ];
  return parts.filter(Boolean);
}
