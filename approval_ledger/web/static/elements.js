// Elements with their text: everything that comes from a ledger goes through here, as a text node, and is never markup.

/** An element. Attributes that are null, undefined or false are left out; `onclick` and the like are listeners. */
export function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A link to another site where the address is one of the web; else the text alone. */
export function outside(address, text) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return text;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return text;
  return element("a", { href: url.href, rel: "noopener noreferrer", target: "_blank" }, text);
}

/** A table with a caption; each row is a list of cells, each a text or nodes. `figures` are the columns set to the right;
 * `wide` says that the first column holds texts, which may take several lines. */
export function table(caption, columns, rows, { figures = [], empty = "", wide = false } = {}) {
  const side = (index) => (figures.includes(index) ? "figure" : null);
  const body = rows.map((cells) =>
    element("tr", null, cells.map((cell, index) =>
      index === 0
        ? element("th", { scope: "row", class: side(index) }, cell)
        : element("td", { class: side(index), "data-column": columns[index] }, cell))));
  if (!rows.length) body.push(element("tr", null, element("td", { colspan: columns.length }, empty)));
  return element("div", { class: wide ? "scrolls wide" : "scrolls", tabindex: "0", role: "region", "aria-label": caption },
    element("table", null,
      element("caption", null, caption),
      element("thead", null, element("tr", null, columns.map((column, index) =>
        element("th", { scope: "col", class: side(index) }, column)))),
      element("tbody", null, body)));
}
