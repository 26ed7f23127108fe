// Companies: who has approvals, searchable by any name; and for one company everything that is reported under all its names.

import { addressOf } from "./address.js";
import { batchName, count, counted } from "./claims.js";
import { element, table } from "./elements.js";
import { dayOf } from "./extent.js";
import { bounds, day, firstDay, percent } from "./figures.js";
import { bothSides, chart, contradictions, disputed, doubt, evidenceLink, publisher } from "./parts.js";

const LISTED = 200; // companies; a search finds the others

export const view = (page) => (page.state.name ? one(page, page.state.name) : all(page));

async function all(page) {
  const { state, words } = page;
  const answer = await page.ask("companies");
  const list = element("div", null);
  const drawn = chart(page, "companies", answer.answers);
  const show = (search) => {
    const found = foundBy(answer.answers, search);
    list.replaceChildren(...listed(page, answer.answers, found));
    drawn.classList.toggle("set-aside", !found.length && answer.answers.length > 0);
  };
  const field = element("input", {
    type: "search", id: "search", value: state.search ?? "", "data-key": "search", autocomplete: "off", spellcheck: "false",
    oninput: () => {
      show(field.value);
      page.soon(() => page.note({ search: field.value.trim() || null }), "search");
    },
  });
  show(state.search ?? "");
  return {
    answer,
    data: ["companies", {}],
    said: [words.found(answer.answers.length, answer.answers.length)],
    nodes: [
      element("p", { class: "choice" }, element("label", { for: "search" }, words.search), " ", field),
      list,
      drawn,
    ],
  };
}

/** How names are compared with what is typed: ignoring case, width and accents. The ledger's own comparison is stricter. */
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();

function foundBy(answers, search) {
  const wanted = plain(search);
  return answers.filter((each) => [each.company, ...each.names].some((name) => plain(name).includes(wanted)));
}

function listed(page, answers, found) {
  const { words } = page;
  return [
    element("p", { class: "note", "aria-live": "polite" }, words.found(found.length, answers.length),
      found.length > LISTED ? `. ${words.foundMore(LISTED)}` : null),
    table(words.companiesTable, [words.company, words.alsoNamed, words.approvals, words.shareOfAll, words.evidence],
      found.slice(0, LISTED).map((each) => [
        [element("a", { href: historyOf(page, each), "data-key": `company-${each.company}` }, nameOf(each)), disputed(each, words)],
        each.names.slice(1).join(words.comma),
        each.approvals.map((of) => element("div", null, `${bounds(of.approvals)} ${ofTerms(of.terms, words)}`)),
        each.approvals.map((of) => element("div", null, percent(of.share))),
        [
          each.approvals.map((of) => element("div", null, evidenceLink(page, ...bothSides(of.evidence)))),
          element("a", { href: historyOf(page, each) }, words.itsHistory),
        ],
      ]),
      { empty: answers.length ? words.noneFound : words.nothing, texts: true }),
  ];
}

const historyOf = ({ state }, company) => addressOf(state, { name: nameOf(company), search: null, evidence: null });

/** A record that only a merger mentions has no names, and is called by its slug. */
const nameOf = ({ company, names }) => names[0] ?? company;

function ofTerms(written, words) {
  const [authority, instrument, unit] = written.split("/");
  return counted({ authority, instrument, unit }, words);
}

async function one(page, name) {
  const { state, words } = page;
  const answer = await page.ask("companies", { name });
  const companies = answer.answers;
  const entries = companies.flatMap((each) => [...each.history, ...each.merges]).toSorted(byDay);
  const figures = companies.flatMap((each) => each.approvals.map((of) => headline(page, of)));
  const title = nameOf(companies[0]);
  return {
    answer,
    title,
    data: ["companies", { name }],
    said: [title, words.evidenceOf(entries.length)],
    nodes: [
      element("p", null, element("a", { href: addressOf(state, { name: null, evidence: null }), "data-key": "back" }, `← ${words.backToCompanies}`)),
      companies.map((each) => element("p", { class: "names" }, names(each, companies.length > 1, words))),
      figures.length ? element("ul", { class: "headlines" }, figures) : null,
      chart(page, "companies", companies, { name }),
      contradictions(page, companies, "approvals"),
      table(words.history(title), [words.day, words.what, words.source, words.later, words.evidence],
        entries.map((entry) => row(page, entry)),
        { empty: words.nothing, texts: true }),
    ],
  };
}

/** The other names of a company, after the one by which it is listed if several companies have the name that was asked for. */
function names(each, amongOthers, words) {
  const others = words.said(words.alsoNamed, each.names.slice(1).join(words.comma) || words.none);
  return amongOthers ? words.said(nameOf(each), others) : others;
}

function headline(page, { terms, approvals, share, evidence }) {
  const { words } = page;
  return element("li", null,
    element("p", { class: "figure" }, bounds(approvals)),
    element("p", { class: "counted" }, ofTerms(terms, words)),
    element("p", { class: "parts" }, `${words.shareOfAll}${words.colon}${percent(share)}`),
    element("p", null, `${words.evidence}${words.colon}`, evidenceLink(page, ...bothSides(evidence))));
}

/** In the order of the chart: by the first day that each may be about, those without a day last; then by position. */
function byDay(a, b) {
  const first = (entry) => (dayOf(entry) ? firstDay(dayOf(entry)) : "none");
  return first(a).localeCompare(first(b)) || a.position - b.position;
}

function row(page, entry) {
  const { words } = page;
  const on = dayOf(entry);
  if (entry.into) return [day(on, words), words.merged(entry.from, entry.into), "", "", evidenceLink(page, [entry.position])];
  const later = (entry.later ?? []).map((change) => {
    const when = change.on ?? change.amended_on;
    const said = [words.kinds[change.kind], when && day(when, words), change.perhaps && words.perhaps].filter(Boolean).join(" ");
    return [said, became(change, words)].filter(Boolean).join(words.colon);
  });
  return [
    [on ? day(on, words) : "", doubt(entry, words)],
    `${words.kinds[entry.kind]}${words.colon}${what(entry, words)}`,
    publisher(entry, words),
    later.join(words.comma),
    evidenceLink(page, [entry.position, ...(entry.later ?? []).map((change) => change.position)]),
  ];
}

function what(entry, words) {
  switch (entry.kind) {
    case "granted":
      return `${entry.item.name}${words.comma}${counted(entry, words)}`;
    case "named":
      return `${batchName(entry.batch, words)}${words.comma}${counted(entry, words)}`;
    case "used":
      return words.users(entry.item, count(entry.users.reported, words));
    default:
      return [
        entry.registry_number ? words.number(entry.registry_number) : (entry.item?.name ?? entry.instrument),
        became(entry, words),
      ].filter(Boolean).join(words.comma);
  }
}

/** What an amendment makes of an approval. */
function became({ changes = {} }, words) {
  const names = [changes.item, changes.company].filter(Boolean).map((each) => each.name);
  return names.length ? words.became(names.join(words.comma)) : "";
}
