"use strict";
/* Elements, tables, downloads. Text reaches the page by textContent alone. */
const HS = { kinds: {}, data: JSON.parse(document.getElementById("data").textContent) };

HS.make = function (tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
};

/* A drawing in a viewbox of so many units: shapes with their attributes. */
HS.drawing = function (width, height, shapes) {
  const element = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const drawing = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
  drawing.append(...shapes.map(([tag, attributes]) => element(tag, attributes)));
  return drawing;
};

HS.rows = function (picture, name) {
  const frame = picture.frames.find((one) => one.name === name);
  return frame.rows.map((row) => Object.fromEntries(frame.columns.map((column, k) => [column, row[k]])));
};

HS.distinct = (values) => [...new Set(values)];

/* Numbers as tables print them. */
HS.number = function (value, digits = 4) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  return Number(value.toFixed(digits)).toFixed(digits).replace("-", "−");
};
HS.signed = (value, digits = 4) => (value > 0 ? "+" : "") + HS.number(value, digits);
HS.count = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en-US"));
HS.percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`);
HS.short = function (value) {
  if (value === null || value === undefined) return "–";
  return String(Number(value.toPrecision(4))).replace("-", "−");
};
HS.span = (lo, hi, digits = 4) =>
  lo === null || lo === undefined ? "–" : `${HS.number(lo, digits)} to ${HS.number(hi, digits)}`;

/* The box that follows the pointer: a title and lines of name and number. */
HS.tip = function (title, lines) {
  const rows = lines.map(([name, text]) => HS.make("span", {}, HS.make("bdi", {}, name), HS.make("bdi", {}, text)));
  return HS.make("div", { class: "tip" }, HS.make("b", {}, HS.make("bdi", {}, title)), rows);
};

/* A leading =, +, -, @ makes a spreadsheet read text as a formula: an apostrophe stops that. */
HS.csv = function (columns, rows) {
  const cell = function (value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
};

HS.download = function (name, text) {
  const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  const link = HS.make("a", { href: address, download: `${name.replace(/[^\w.-]+/g, "-")}.csv` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
};

HS.select = function (label, options, value, change) {
  const list = HS.make("select", { onchange: () => change(list.value) });
  for (const [key, text] of options) list.append(HS.make("option", { value: key }, text));
  list.value = value;
  return HS.make("label", {}, label, list);
};

function compare(a, b) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

/* A table whose headings sort it; what has no number stays last. Rows of `method` are set off. */
HS.table = function (table, method) {
  // Many numbers stand close; four columns of words and more stand below each other on a phone.
  const look = table.columns.length > 8 ? "dense" : table.columns.length > 3 && !table.columns.some((column) => column.number) ? "stacked" : null;
  const kinds = table.columns.map((column, k) => (column.number ? "number" : table.rows.every((row) => row[k][0].length <= 16) ? "text short" : "text"));
  const body = HS.make("tbody");
  const fill = function (rows) {
    body.replaceChildren(
      ...rows.map((row) =>
        HS.make("tr", row.some((cell) => method && cell[1] === method) ? { class: "mark" } : {},
          row.map((cell, k) =>
            HS.make("td", { class: kinds[k], "data-name": look === "stacked" ? table.columns[k].name : null }, HS.make("bdi", { class: cell[2] ? `tone ${cell[2]}` : null }, cell[0]))))));
  };
  const heads = table.columns.map(function (column, k) {
    const head = HS.make("th", { scope: "col", class: kinds[k] === "text" ? "" : kinds[k], "aria-sort": "none" });
    const sort = function () {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const known = table.rows.filter((row) => row[k][1] !== null).sort((a, b) => compare(a[k][1], b[k][1]));
      fill([...(up ? known : known.reverse()), ...table.rows.filter((row) => row[k][1] === null)]);
    };
    head.append(HS.make("button", { type: "button", onclick: sort }, HS.make("bdi", {}, column.name || " ")));
    return head;
  });
  fill(table.rows);
  const element = HS.make("table", { id: `table-${table.id}`, class: look }, HS.make("thead", {}, HS.make("tr", {}, heads)), body);
  const save = () => HS.download(`headstart-${table.id}`,
    HS.csv(table.columns.map((column) => column.name), table.rows.map((row) => row.map((cell) => cell[1]))));
  return HS.make("div", {},
    HS.make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": table.title }, element),
    table.note ? HS.make("p", { class: "note" }, table.note) : null,
    HS.make("div", { class: "tools" },
      HS.make("button", { type: "button", onclick: save, "aria-label": `Download CSV of ${table.title}` }, "Download CSV")));
};
