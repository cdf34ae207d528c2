/* The data as the page uses it, and the table of runs: filtered, sorted, selected from. */

const report = JSON.parse(at("data").textContent);
const runs = report.runs.map(withAll);
const byKey = new Map(runs.map((run) => [run.key, run]));

/* What the reader has chosen. */
const chosen = { sort: { column: 0, down: false }, picked: new Set(), current: runs[0], shown: runs };

const BEGINNING = "its initialization";

/* A run with what it shares with others filled in, and what is found out from it. */
function withAll(run) {
  const hyperparameters = Object.fromEntries(
    Object.entries(run.own ? { ...report.shared, ...run.own } : {}).filter(([, value]) => value !== null),
  );
  const sources = run.needs.map(([name, replicate]) => `${name}/replicate_${replicate}`);
  const values = Object.entries(hyperparameters).map(([name, value]) => `${name}=${written(value)}`);
  const words = [run.name, `replicate_${run.replicate}`, run.state, run.problem, run.differs, ...values];
  return {
    ...run,
    key: `${run.name}/replicate_${run.replicate}`,
    hyperparameters,
    metrics: Object.fromEntries(Object.entries(run.metrics).map(([name, value]) => [name, number(value)])),
    density: run.total ? run.kept / run.total : run.total === 0 ? 1 : null,
    sources,
    parent: sources[0] ?? null,
    words: words.join("\n").toLowerCase(),
  };
}

/* A hyperparameter as its flag is given in Python. */
function written(value) {
  if (value === true) return "True";
  return value === false ? "False" : String(value);
}

/* A curve of a run, as points; none if that was not measured. */
function curve(run, measure) {
  const [place, values] = run.curves[measure] ?? [0, []];
  return values.map((value, index) => ({ x: report.epochs[place][index], y: number(value) }));
}

const stateText = (run) => (isThere(run.progress) ? `${run.state} ${fixed(100 * run.progress, 0)} %` : run.state);
const stateOf = (run) => html("span", { class: `state ${run.state}` }, stateText(run));
const keptText = (run) =>
  isThere(run.density) ? `${percent(run.density)} (${count(run.kept)} of ${count(run.total)})` : "-";
const linkTo = (run, text = run.key) =>
  html("a", { class: "name", href: `#${encodeURIComponent(run.key)}`, click: () => visit(run) }, text);

/* Heads as the command line has them; by what is sorted; what stands in the cell. */
const COLUMNS = [
  ["run", (run) => run.name, (run) => linkTo(run, run.name)],
  ["replicate", (run) => run.replicate, (run) => run.replicate, "figure"],
  ["kind", (run) => run.kind, (run) => run.kind],
  ["state", (run) => stateText(run), stateOf],
  ["test accuracy", (run) => run.metrics["test accuracy"], (run) => percent(run.metrics["test accuracy"]), "figure"],
  ["test loss", (run) => run.metrics["test loss"], (run) => decimal(run.metrics["test loss"]), "figure"],
  ["weights kept", (run) => run.density, keptText, "figure"],
  ["time", (run) => run.seconds, (run) => duration(run.seconds), "figure"],
  ["not at its default", (run) => run.differs, about],
];

/* What is special about a run; and what is wrong with it. */
function about(run) {
  const problem = run.problem && html("div", { class: "problem" }, run.problem);
  return html("div", {}, run.differs, problem || "");
}

const rows = new Map();

/* The row of a run: made when it is first shown. */
function rowOf(run) {
  if (!rows.has(run.key)) {
    const pick = html("input", { type: "checkbox", "aria-label": `Select ${run.key}`, change: () => toggle(run) });
    const cells = COLUMNS.map(([, , cell, style]) => html("td", { class: style }, cell(run)));
    rows.set(run.key, html("tr", {}, html("td", { class: "pick" }, pick), ...cells));
  }
  const row = rows.get(run.key);
  row.classList.toggle("current", run === chosen.current);
  row.querySelector("input").checked = chosen.picked.has(run);
  return row;
}

/* Missing values come last, whichever way. */
function compare(one, other) {
  const by = COLUMNS[chosen.sort.column][1];
  const [a, b] = [by(one), by(other)];
  const missing = (value) => !isThere(value) || value === "" || Number.isNaN(value);
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const order = typeof a === "number" ? a - b : a < b ? -1 : Number(a > b);
  return chosen.sort.down ? -order : order;
}

function filtered() {
  const words = at("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [state, kind] = [at("state").value, at("kind").value];
  return runs.filter((run) => (!state || run.state === state) && (!kind || run.kind === kind) &&
    words.every((word) => run.words.includes(word)));
}

function showTable() {
  chosen.shown = filtered().sort(compare);
  at("table").tBodies[0].replaceChildren(...chosen.shown.map(rowOf));
  at("shown").value = `${count(chosen.shown.length)} of ${count(runs.length)} runs`;
  at("table").querySelectorAll("th[aria-sort]").forEach((head, column) => {
    const { sort } = chosen;
    head.setAttribute("aria-sort", column !== sort.column ? "none" : sort.down ? "descending" : "ascending");
  });
}

function showHeads() {
  const heads = COLUMNS.map(([head, , , style], column) =>
    html("th", { scope: "col", "aria-sort": "none", class: style },
      html("button", { type: "button", click: () => sortBy(column) }, head)));
  const pick = html("th", { class: "pick", scope: "col", "aria-label": "selected" });
  at("table").tHead.replaceChildren(html("tr", {}, pick, ...heads));
}

function sortBy(column) {
  const { sort } = chosen;
  chosen.sort = { column, down: sort.column === column && !sort.down };
  showTable();
}
