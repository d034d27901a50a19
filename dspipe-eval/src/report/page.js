"use strict";
// Everything from the run goes in as text, never as markup.
const rows = JSON.parse(document.getElementById("data").textContent);
const place = document.getElementById("cases");
const names = [...new Set(rows.flatMap((row) => Object.keys(row.scores)))].sort();
const STEP = 100;
let shown = STEP, sort = { key: "score", up: true };

function element(name, text, attributes) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  Object.assign(made, attributes || {});
  return made;
}

const state = (row) => (row.error ? "error" : row.passed ? "passed" : "failed");
const columns = [
  { key: "case", value: (row) => row.id + (row.run > 1 ? " (run " + row.run + ")" : "") },
  { key: "state", value: state },
  { key: "score", value: (row) => row.score, digits: 3 },
  ...names.map((name) => ({ key: name, value: (row) => row.scores[name] && row.scores[name][0], digits: 3 })),
  { key: "seconds", value: (row) => row.latency, digits: 2 },
  { key: "USD", value: (row) => row.cost, digits: 4 },
];

const search = element("input", null, { type: "search", placeholder: "search in cases, prompts and replies" });
search.setAttribute("aria-label", "search");
const choice = element("select");
choice.setAttribute("aria-label", "state");
for (const name of ["all", "failed", "error", "passed"]) choice.append(element("option", name, { value: name }));
const tags = [...new Set(rows.flatMap((row) => row.tags || []))].sort();
const tag = element("select");
tag.setAttribute("aria-label", "tag");
tag.append(element("option", "all tags", { value: "" }));
for (const name of tags) tag.append(element("option", name, { value: name }));
const count = element("span", "", { className: "note" });
const tools = element("div", null, { className: "tools" });
tools.append(search, choice);
if (tags.length > 0) tools.append(tag);
tools.append(count);
const table = element("table");
const scroll = element("div", null, { className: "scroll" });
scroll.append(table);
const more = element("button", "show more");
place.append(tools, scroll, more);

const texts = new Map();
function text(row) {
  if (!texts.has(row)) texts.set(row, JSON.stringify(row).toLowerCase());
  return texts.get(row);
}

function compare(a, b) {
  if (a === undefined || a === null) return b === undefined || b === null ? 0 : 1;
  if (b === undefined || b === null) return -1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function block(title, content, into) {
  if (content === null || content === undefined) return;
  const part = element("div");
  part.append(element("h3", title), element("pre", content));
  into.append(part);
}

function detail(row) {
  const all = element("div");
  if (row.error) all.append(element("p", row.error, { className: "bad" }));
  for (const name of names) {
    const score = row.scores[name];
    if (score && score[1]) all.append(element("p", name + ": " + score[1]));
  }
  const sides = element("div", null, { className: "sides" });
  block("input", row.input, sides);
  block("expected", row.expected, sides);
  block("actual", row.actual, sides);
  all.append(sides);
  if (row.tags && row.tags.length > 0) all.append(element("p", "tags: " + row.tags.join(", "), { className: "note" }));
  for (const step of row.steps) {
    all.append(element("h3", "step " + step.step + " on " + step.lm));
    const turns = element("div", null, { className: "sides" });
    for (const message of step.prompt) block(message.role, message.text, turns);
    block("reply", step.reply, turns);
    all.append(turns);
  }
  if (row.recordings && row.recordings.length > 0) {
    all.append(element("p", "answered from " + row.recordings.join(", "), { className: "note" }));
  }
  return all;
}

function line(row, body) {
  const tr = element("tr");
  for (const column of columns) {
    const value = column.value(row);
    const td = element("td");
    if (column.key === "case") {
      const open = element("button", value, { type: "button", title: value });
      open.setAttribute("aria-expanded", "false");
      open.addEventListener("click", () => {
        const next = tr.nextElementSibling;
        if (next && next.dataset.detail) {
          next.remove();
          open.setAttribute("aria-expanded", "false");
          return;
        }
        const under = element("tr");
        under.dataset.detail = "yes";
        const cell = element("td", null, { className: "detail", colSpan: columns.length });
        cell.append(detail(row));
        under.append(cell);
        tr.after(under);
        open.setAttribute("aria-expanded", "true");
      });
      td.append(open);
    } else if (column.key === "state") {
      td.append(element("span", value, { className: value === "passed" ? "good" : "bad" }));
    } else {
      td.textContent = typeof value === "number" ? value.toFixed(column.digits) : "–";
    }
    tr.append(td);
  }
  body.append(tr);
}

function draw() {
  const wanted = search.value.toLowerCase();
  const column = columns.find((column) => column.key === sort.key) || columns[2];
  const found = rows.filter((row) =>
    (choice.value === "all" || state(row) === choice.value) &&
    (!tag.value || (row.tags || []).includes(tag.value)) && (!wanted || text(row).includes(wanted)));
  found.sort((a, b) => (sort.up ? 1 : -1) * compare(column.value(a), column.value(b)));
  const head = element("tr");
  for (const column of columns) {
    const th = element("th");
    const current = column.key === sort.key;
    th.setAttribute("aria-sort", current ? (sort.up ? "ascending" : "descending") : "none");
    const button = element("button", column.key + (current ? (sort.up ? " ▲" : " ▼") : ""), { type: "button" });
    button.addEventListener("click", () => {
      sort = { key: column.key, up: current ? !sort.up : true };
      draw();
    });
    th.append(button);
    head.append(th);
  }
  const thead = element("thead"), body = element("tbody");
  thead.append(head);
  for (const row of found.slice(0, shown)) line(row, body);
  table.replaceChildren(thead, body);
  count.textContent = found.length + " of " + rows.length;
  more.hidden = found.length <= shown;
}

search.addEventListener("input", () => { shown = STEP; draw(); });
choice.addEventListener("change", () => { shown = STEP; draw(); });
tag.addEventListener("change", () => { shown = STEP; draw(); });
more.addEventListener("click", () => { shown += STEP; draw(); });
draw();
