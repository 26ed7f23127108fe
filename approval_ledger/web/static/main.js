// The page: reads its address, asks the ledger, shows the answer, and follows the log.

import { addressOf, passedOver, stateOf, VIEWS } from "./address.js";
import { typedClaim } from "./claims.js";
import { element } from "./elements.js";
import { evidence } from "./evidence.js";
import { extentIsOf, extentOf, publication } from "./extent.js";
import { asking, fetched, follow, forget, Problem } from "./ledger.js";
import { save } from "./saving.js";
import { showTime } from "./time.js";
import { drop, held, hold, tokenForm } from "./token.js";
import { languages, wordsOf } from "./words.js";

const SOON = 150; // milliseconds without a further move after which a slider's question is asked
const NEWS = 250; // milliseconds from a new event to the next question, so that one question covers many events
const AGAIN = 1_000; // milliseconds until a stream that was refused is requested again; doubled each time,
const PATIENCE = 60_000; // up to this
const QUIET = 10_000; // milliseconds between announcements of new events, so that a screen reader can finish each
const MOVES = ["valid-at", "known-at"]; // sliders
const DATED = ["totals", "batches", "companies", "shares", "sources"]; // views that have the two axes

const place = Object.fromEntries(
  ["skip", "name", "standing", "token-held", "languages", "views", "time", "said", "main", "evidence", "foot"]
    .map((id) => [id, document.getElementById(id)]));

let state = stateOf(location.search);
let controller = new AbortController(); // of the requests under way
const timers = new Map(); // by what they are for: a slider's move, a search, the next look, news, ...
let rendering = null; // the promise of what is being requested and drawn
let extent = null; // how far the axes reach, and what that depends on
let connected = null;
let source = null;
let mover = null; // the slider whose move made the present entry of the history
let opener = null; // the mark of the link that opened the evidence
let panelOf = ""; // which evidence is on the screen,
let panelHas = ""; // and with which events and in which language
let seenAt = null; // the address whose figures are on the screen
let answeredAt; // their position
let missed = false; // whether there may be events that the stream did not deliver
let figures = ""; // in words, as they were announced last, or are to be announced
let unsaid = { events: 0 }; // what is still to be announced: how many events, the `newest` of them, and `figures`
let refusals = 0; // of the stream of events, in a row
let turnedAway = ""; // why the token was dropped, shown until the reader moves on, even if news comes right after
let atTheDoor = false; // whether the reader has just given a token, or withdrawn it

const ledger = () => state.ledger ?? document.documentElement.dataset.ledger;
const axes = () => ({ valid_at: state.valid_at, known_at: state.known_at, known_as: state.known_as });

/** Goes to the state with these changes, which is a new entry of the history. Where a slider (`by`) makes it, further moves of
 * that slider are of the same entry, until it is let go and taken again: Back is to take back a move, and not a part of one. */
function go(changes, { by = null } = {}) {
  const address = addressOf(state, changes);
  if (address === addressOf(state) || (by && by === mover)) history.replaceState(history.state, "", address);
  else enter(address);
  arrived();
  mover = by;
  return render();
}

/** Goes to an address. Its entry in the history remembers how many entries back the evidence that it shows was not open yet. */
function enter(address) {
  const next = stateOf(address);
  const same = addressOf(next, { evidence: null }) === addressOf(state, { evidence: null });
  const before = state.evidence ? history.state?.opened : 0; // unknown if the page was opened with evidence in its address
  history.pushState({ opened: same && next.evidence && before !== undefined ? before + 1 : undefined }, "", address);
}

/** The reader has gone on to what the address says now. */
function arrived() {
  state = stateOf(location.search);
  turnedAway = "";
  mover = null;
}

/** Closes the evidence by going back where it was opened here, so that Back does not open it again. */
function close() {
  if (!state.evidence) return;
  const opened = history.state?.opened;
  if (!opened) return go({ evidence: null });
  delete state.evidence; // going back takes a moment, in which it may be closed again
  history.go(-opened);
}

/** Writes changes into the address for which nothing on the screen has to change. */
function note(changes) {
  history.replaceState(history.state, "", addressOf(state, changes));
  state = stateOf(location.search);
  seenAt = location.search;
}

/** Calls `act` once this many milliseconds have passed without a further call for the same `what`. */
function soon(act, what, milliseconds = SOON) {
  clearTimeout(timers.get(what));
  timers.set(what, setTimeout(() => {
    timers.delete(what);
    act();
  }, milliseconds));
}

function cancel(...whats) {
  for (const what of whats) {
    clearTimeout(timers.get(what));
    timers.delete(what);
  }
}

/** What views are given: the state, its words, and the ways to ask and to go on. */
function pageNow(signal) {
  const words = wordsOf(state.language);
  const later = [];
  const placed = [];
  const asked = new Map(); // what is being asked already is not asked twice
  const page = {
    state, words, signal, go, note, soon, later, settle: () => placed.forEach((act) => act()),
    ledger: ledger(),
    axes: axes(),
    get: (path, parameters) => {
      const address = asking(ledger(), path, parameters);
      if (!asked.has(address)) asked.set(address, fetched(address, signal));
      return asked.get(address);
    },
    ask: (path, parameters = {}) => page.get(path, { ...axes(), ...parameters }),
    kinds: async () => (await extentNow(page)).kinds,
    published: () => publication({ get: (path) => fetched(asking(ledger(), path)) }), // without `signal`: news must not abort it
    placed: (act) => placed.push(act),
    after: (act) => later.push(act),
    render,
    failed: (error) => failed(error, page),
    takes: another,
    again: (milliseconds) => soon(() => document.hidden || render(), "again", milliseconds),
  };
  return page;
}

async function extentNow(page) {
  const of = extentIsOf(page);
  if (extent?.of !== of) extent = { of, ...await extentOf(page) };
  return extent;
}

/** Asks for what the address says, and shows it. */
function render() {
  controller.abort();
  controller = new AbortController();
  if (timers.has("news")) extent = null;
  cancel("again", "news");
  const now = show(pageNow(controller.signal)).finally(() => {
    if (rendering === now) rendering = null;
  });
  rendering = now;
  return now;
}

/** The figures, and after them the charts; no more of it once the page's `signal` is aborted. */
async function show(page) {
  const { signal, words } = page;
  keepingFocus(() => frame(words));
  try {
    const views = await import(`./view-${state.view}.js`);
    const [seen, panel, within] = await Promise.allSettled([views.view(page), evidence(page), extentNow(page)]);
    if (signal.aborted) return;
    // Each is shown even if the others fail, so that a wrong address still leaves a way on.
    answeredAt = seen.value?.answer?.position;
    if (within.status === "fulfilled") axesShown(page, within.value);
    if (panel.status === "fulfilled") panelShown(panel.value, words);
    for (const asked of [seen, panel, within]) if (asked.status === "rejected") throw asked.reason;
    const title = seen.value.title ?? words.views[state.view];
    document.title = `${title} – ${words.title}`;
    inPlace(page, element("h1", seen.value.title ? null : { class: "hidden" }, title), ...seen.value.nodes);
    keepingFocus(() => filled(place.foot, foot(page, seen.value)));
    sayFigures(words.said(words.views[state.view], seen.value.said.slice(0, 12).join(words.comma)));
    const unknown = passedOver(location.search).join(words.comma);
    if (unknown) place.main.prepend(element("p", { class: "wrong", role: "alert" }, words.passedOver(unknown)));
    if (turnedAway) place.main.prepend(element("p", { class: "wrong", role: "alert" }, turnedAway));
    atTheDoor = false;
    seenAt = location.search;
    document.documentElement.dataset.shown = location.search || "?";
    performance.mark("figures");
    await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
    await Promise.all(page.later.map((act) => act()));
  } catch (error) {
    if (!signal.aborted) failed(error, page);
  }
}

/** Puts nodes there, unless equal ones are there already: if a link is replaced between press and release, the click is lost. */
function filled(where, nodes) {
  const there = [...where.children];
  if (nodes.length !== there.length || !nodes.every((node, at) => node.isEqualNode(there[at]))) where.replaceChildren(...nodes);
}

/** What stands around every view. */
function frame(words) {
  document.documentElement.lang = words.language === "zh" ? "zh-Hans" : "en";
  document.title = `${words.views[state.view]} – ${words.title}`;
  place.skip.textContent = words.skip;
  place.name.textContent = words.title;
  place.name.href = addressOf({ ledger: state.ledger, language: state.language });
  place.views.setAttribute("aria-label", words.viewsLabel);
  place.time.setAttribute("aria-label", words.time);
  place.evidence.setAttribute("aria-label", words.evidence);
  const kept = { ledger: state.ledger, language: state.language, ...axes() };
  place.views.replaceChildren(element("ul", null, VIEWS.map((view) =>
    element("li", null, element("a", {
      href: addressOf({ ...kept, view }), "aria-current": view === state.view ? "page" : null, "data-key": `view-${view}`,
    }, words.views[view])))));
  place.languages.replaceChildren(...languages.map(([code, name]) =>
    element("a", {
      href: addressOf(state, { language: code }), lang: code, hreflang: code, "data-key": `language-${code}`,
      "aria-current": code === words.language ? "true" : null,
    }, name)));
  place["token-held"].replaceChildren(...(held(ledger()) ? [
    `${words.tokenHeld} `,
    element("button", { type: "button", "data-key": "token-forget", onclick: () => another(null) }, words.tokenForget),
  ] : []));
  standing(words);
}

function standing(words = wordsOf(state.language)) {
  if (!extent) return;
  // Until it is connected there is room for the word, so that nothing below moves when it comes.
  const [how, word] = connected === null ? ["awaited", words.live] : connected ? ["live", words.live] : ["away", words.away];
  place.standing.replaceChildren(words.standing(extent.ledger, extent.head), " ", element("span", { class: how }, word));
}

function axesShown(page, within) {
  place.time.hidden = !DATED.includes(page.state.view);
  standing(page.words);
  showTime(place.time, page, within, answeredAt, (slider) => timers.has(slider));
}

function panelShown(panel, words) {
  const closed = !place.evidence.hidden && !panel;
  place.evidence.hidden = !panel;
  const has = panel ? `${ledger()} ${words.language} ${panel.positions}` : "";
  if (has !== panelHas) place.evidence.replaceChildren(...(panel?.nodes ?? [])); // what is unfolded stays so
  panelHas = has;
  const of = panel ? addressOf({ evidence: state.evidence, of: state.of }) : "";
  const another = panel && of !== panelOf;
  panelOf = of;
  // It may be out of sight; not when the page is first opened, though.
  if (another && "shown" in document.documentElement.dataset) document.getElementById("evidence-title").focus();
  if (closed && opener) marked(opener)?.focus();
  if (!panel) opener = null;
}

const find = (key) => document.querySelector(`[data-key="${CSS.escape(key)}"]`);

/** What an element is, also once it is made anew: its key, or where it leads or what it is called; and the row that it is in. */
const signOf = (node) => JSON.stringify([
  node.dataset.key ?? [node.tagName, node.getAttribute("href"), node.getAttribute("aria-label"), node.parentNode.dataset?.key],
  node.closest("tr")?.firstChild.textContent,
]);

const alike = (sign) => [...document.querySelectorAll("a, button, input, select, summary, [tabindex]")].filter((node) => signOf(node) === sign);

/** By what an element is found again; several may be alike. */
function markOf(node) {
  const sign = signOf(node);
  return { sign, which: alike(sign).indexOf(node) };
}

function marked({ sign, which }) {
  const found = alike(sign);
  return found[which] ?? found[0];
}

/** Makes a change that may replace the focused element, and returns the focus to its successor. */
function keepingFocus(change) {
  const before = document.activeElement;
  const mark = before && before !== document.body && markOf(before);
  change();
  if (mark && document.activeElement === document.body) marked(mark)?.focus({ preventScroll: true });
}

/** Puts the nodes of a view in place of those that were there. What is being typed and what is unfolded stay. */
function inPlace(page, ...nodes) {
  const { type, value, selectionStart, selectionEnd } = document.activeElement ?? {};
  const opened = [...place.main.querySelectorAll("details[open]")].map((each) => each.dataset.key);
  const scrolled = [...place.main.querySelectorAll(".scrolls")].filter((each) => each.scrollLeft).map((each) => [signOf(each), each.scrollLeft]);
  const inside = place.main.contains(document.activeElement);
  const keeping = seenAt === location.search ? keepingSelection : (change) => change();
  keeping(() => keepingFocus(() => {
    swap(nodes.flat(Infinity).filter((node) => node !== null && node !== undefined));
    for (const key of opened) find(key)?.setAttribute("open", "");
    page.settle(); // before the focus returns: for that the browser lays out the page, and a page that is shorter then scrolls
    for (const [sign, left] of scrolled) for (const each of alike(sign)) each.scrollLeft = left;
  }));
  if (inside && document.activeElement === document.body) place.main.focus({ preventScroll: true });
  const field = document.activeElement;
  if (type !== "search" || field?.type !== "search") return;
  // The new one has what the address said when the answer was asked for, and more may have been typed and noted since.
  if (timers.has("search") || value.trim() === (state.search ?? "")) field.value = value;
  field.setSelectionRange(selectionStart, selectionEnd);
  field.dispatchEvent(new Event("input"));
}

/** Replaces the nodes, except a choice that has the focus and is unchanged, because its list may be open and would close. */
function swap(nodes) {
  const choiceOf = (among) => among.find((node) => node.matches(".choice:has(select)"));
  const valueOf = (choice) => choice.querySelector("select").value;
  const [there, fresh] = [choiceOf([...place.main.children]), choiceOf(nodes)];
  if (!there?.contains(document.activeElement) || !fresh?.isEqualNode(there) || valueOf(there) !== valueOf(fresh)) return place.main.replaceChildren(...nodes);
  const others = [...place.main.childNodes].filter((node) => node !== there);
  const at = nodes.indexOf(fresh);
  there.before(...nodes.slice(0, at));
  there.after(...nodes.slice(at + 1));
  for (const node of others) node.remove();
}

/** The texts of a view, in order; each with what it is found by again: what it says, and the row that it is in. */
function texts() {
  const walker = document.createTreeWalker(place.main, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) found.push(walker.currentNode);
  return found.map((node) => ({ node, sign: JSON.stringify([node.data, node.parentNode.closest("tr")?.firstChild.textContent]) }));
}

/** Makes a change that replaces texts, and selects the same texts again if they are still there. */
function keepingSelection(change) {
  const selection = getSelection();
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  if (selection.isCollapsed) return change();
  const before = texts();
  const found = [[anchorNode, anchorOffset], [focusNode, focusOffset]].map(([node, offset]) => markOfPoint(before, node, offset));
  change();
  const after = texts();
  const points = found.map(({ sign, which, node, offset }) => [node ?? after.filter((each) => each.sign === sign)[which]?.node, offset]);
  if (points.every(([node]) => node?.isConnected)) selection.setBaseAndExtent(...points.flat());
}

/** What an end of the selection is found again by. An end between elements counts as the start of the next text. */
function markOfPoint(among, node, offset) {
  if (!place.main.contains(node)) return { node, offset };
  const range = document.createRange();
  range.setStart(node, offset);
  const at = among.findIndex((each) => each.node === node || (node.nodeType !== Node.TEXT_NODE && range.comparePoint(each.node, 0) >= 0));
  const { sign, node: text } = among[at] ?? among.at(-1);
  const which = among.slice(0, at < 0 ? -1 : at).filter((each) => each.sign === sign).length;
  return { sign, which, offset: text === node ? offset : at < 0 ? text.length : 0 };
}

/** What keeps a view as it is, or why nothing does. */
function pinning(now, answer, words) {
  if (now.known_as === "published") return words.notPinned;
  if (/^\d+$/.test(now.known_at ?? "")) return words.pinned;
  return [
    element("a", { href: addressOf(now, { known_at: String(answer.position) }), "data-key": "pin" }, words.pin), ". ",
    now.known_at ? words.pinMoment : words.pinHelp,
  ];
}

function foot({ words, state: now }, { answer, data }) {
  if (!answer) return [];
  const [path, parameters] = data;
  const asked = { ...axes(), ...parameters };
  const question = asking(answer.ledger, path, asked);
  return [
    element("p", null,
      `${words.foot(answer.ledger, answer.position)} ${words.digestOf} `,
      element("code", { title: answer.digest }, answer.digest.slice(0, 16)), " ", words.digestIsOf, " ",
      element("a", { href: question }, element("code", null, question)), ". ",
      pinning(now, answer, words)),
    element("p", null, `${words.data}${words.colon}`,
      ["json", "csv"].map((format) => [
        " ", element("a", { href: asking(answer.ledger, path, { ...asked, format }) }, format.toUpperCase()),
      ])),
    element("p", null, `${words.feeds}${words.colon}`,
      Object.entries(words.feedOf).map(([feed, name]) => [
        " ", element("a", { href: asking(answer.ledger, `feeds/${feed}`), type: "application/atom+xml" }, name),
      ])),
    held(answer.ledger) && element("p", null, words.tokenFiles),
  ].filter(Boolean);
}

function say(text) {
  if (place.said.textContent !== text) place.said.textContent = text;
}

/** Says the figures: at once where the reader asked for them, and in time where they changed by themselves. */
function sayFigures(text) {
  const changed = text !== figures;
  figures = text;
  if (seenAt !== location.search) {
    delete unsaid.figures;
    say(text);
  } else if (changed) {
    unsaid.figures = text;
    if (!timers.has("said")) sayWhatCame();
  }
}

/** Announces new events and changed figures; what comes within QUIET after that is announced together. */
function sayWhatCame() {
  const words = wordsOf(state.language);
  const { events: many, newest, figures: changed } = unsaid;
  unsaid = { events: 0 };
  if (!many && !changed) return;
  const what = newest && [Number(newest.sequence), typedClaim(newest.type, newest.data ?? {}, words)];
  say([many > 1 ? words.arrivedMany(many, ...what) : many && words.arrived(...what), changed].filter(Boolean).join(". "));
  soon(sayWhatCame, "said", QUIET);
}

function failed(error, page) {
  const { words } = page;
  if (error instanceof Problem && error.ofAccess) return shut(error, page);
  const outdated = error instanceof SyntaxError; // of a view's file that is newer than those it imports
  const away = !outdated && !(error instanceof Problem);
  const passing = away || [429, 503].includes(error.status);
  if (away || outdated) console.info(String(error));
  const reset = outdated ? element("button", { type: "button", onclick: () => window.location.reload() }, words.reload)
    : !passing && element("a", {
      href: addressOf({ ledger: state.ledger, view: state.view, language: state.language }), "data-key": "reset",
    }, words.reset);
  const text = outdated ? words.outdated : away ? words.gone : `${words.wrong}${words.colon}${error.message}`;
  const told = element("p", { class: "wrong", role: "alert" }, text, reset && [" ", reset]);
  place.main.querySelector("[role=alert]")?.remove();
  if (seenAt === location.search) place.main.prepend(told);
  else {
    place.main.replaceChildren(told);
    place.foot.replaceChildren();
    seenAt = null;
  }
  document.documentElement.dataset.shown = location.search || "?";
  if (passing) soon(render, "again", 3_000);
}

/** Removes everything from the screen and asks for a token, because the ledger refused to be read without one, or with this one. */
function shut(error, page) {
  const { words } = page;
  if (held(page.ledger) !== error.token) return; // the token was changed since that request
  if (error.token) {
    turnedAway = error.status === 401 ? words.tokenUnknown : words.tokenScope;
    drop(page.ledger);
    connect();
    render();
    return;
  }
  const of = `${page.ledger} ${words.language}`;
  document.documentElement.dataset.shown = location.search || "?";
  const inside = atTheDoor || place.main.contains(document.activeElement);
  cleared(page);
  if (!turnedAway && place.main.querySelector("form.token")?.dataset.of === of) return; // where one is being pasted, maybe
  place.main.replaceChildren(element("h1", { class: "hidden" }, words.views[state.view]), tokenForm(words, {
    of, why: turnedAway || words.needsToken, label: words.tokenLabel, use: words.tokenUse, help: words.tokenHelp,
    take: another,
  }));
  turnedAway = "";
  atTheDoor = false;
  if (inside) document.getElementById("token").focus();
}

/** Nothing that was read is shown, said or remembered any more. */
function cleared({ words }) {
  forget();
  extent = null;
  seenAt = null;
  panelShown(null, words);
  panelHas = "";
  for (const part of ["standing", "time", "evidence", "foot", "token-held"]) place[part].replaceChildren();
  delete place.time.dataset.made;
  place.time.hidden = true;
  document.getElementById("tip")?.remove();
  say("");
}

/** Asks with another token from now on, or without one. */
function another(token) {
  atTheDoor = true;
  turnedAway = "";
  if (token) hold(ledger(), token);
  else drop(ledger());
  forget();
  extent = null;
  connect();
  render();
}

/** A new event. */
function come(event) {
  unsaid.events += 1;
  unsaid.newest = event;
  if (!timers.has("said")) sayWhatCame();
  if (!timers.has("news")) soon(news, "news", NEWS); // not put off by the next event: they may come without a pause
}

/** Asks again for what is on the screen, once the previous answer is there, unless new events cannot change it. */
async function news() {
  const waiting = {};
  timers.set("news", waiting); // the next question covers events that come meanwhile
  await rendering;
  if (timers.get("news") !== waiting) return; // somebody has asked since
  if (!state.known_at && !state.before) return render();
  cancel("news");
  extent = null;
  const page = pageNow(controller.signal);
  extentNow(page).then((within) => axesShown(page, within), () => {});
}

/** Follows the ledger. The stream comes back by itself to a server that went away, but not to one that refused. */
function connect() {
  source?.close();
  cancel("connect", "said");
  unsaid = { events: 0 }; // of another ledger, or of one that may be read no more
  const followed = ledger();
  source = follow(followed, come, {
    opened: () => {
      connected = true;
      refusals = 0;
      standing();
      if (!missed) return;
      missed = false;
      forget(); // it may be another ledger that has this name now
      soon(news, "news", 0);
    },
    lost: () => {
      connected = false;
      missed = true;
      standing();
    },
    refused: (error) => {
      soon(connect, "connect", Math.min(PATIENCE, AGAIN * 2 ** refusals));
      refusals += 1;
      if (error.ofAccess) failed(error, pageNow(controller.signal));
    },
  });
}

// Links that are states of this page: each is a real address, so that it can be copied, and opened beside this one.
document.addEventListener("click", (click) => {
  const link = click.target.closest?.("a[href^='?']");
  if (!link || click.defaultPrevented || click.button || click.metaKey || click.ctrlKey || click.shiftKey || click.altKey) return;
  click.preventDefault();
  cancel(...MOVES, "search");
  if (link.classList.contains("close")) return close();
  if (link.classList.contains("evidence")) opener = markOf(link);
  const before = ledger();
  const { view, name } = state;
  enter(link.getAttribute("href"));
  arrived();
  if (state.view !== view || state.name !== name) scrollTo(0, 0);
  if (ledger() !== before) connect();
  render();
});

// What a browser would ask for without the token.
document.addEventListener("click", (click) => {
  const link = click.target.closest?.("a[href^='ledgers/']");
  if (!link || click.defaultPrevented || !held(ledger())) return;
  click.preventDefault();
  save(link.getAttribute("href")).catch((error) => failed(error, pageNow(controller.signal)));
});

addEventListener("popstate", () => {
  cancel(...MOVES, "search");
  const before = ledger();
  arrived();
  if (ledger() !== before) connect();
  render();
});

document.addEventListener("keydown", (key) => {
  if (key.key === "Escape" && state.evidence && !key.defaultPrevented) close();
});

document.addEventListener("focusout", () => mover = null);

document.addEventListener("pointerdown", () => {
  mover = null;
  const tip = document.getElementById("tip");
  if (tip) tip.hidden = true;
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && state.view === "projections") render();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render());

let width = innerWidth;
addEventListener("resize", () => {
  if (Math.abs(innerWidth - width) > 20) {
    width = innerWidth;
    soon(render, "again");
  }
});

render();
connect();
