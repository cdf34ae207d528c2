/* What is below the table: accuracy against sparsity, curves, one run, two runs, lineage. */

const MOST_CURVES = 24;
const short = (value) => String(Number(value.toPrecision(5)));
const axis = (label, write, tick, log = false) => ({ label, text: write, tick, log });
const shares = (value) => `${short(100 * value)} %`;
const outcome = (measure, log) => {
  const write = writer(measure);
  return axis(measure, write, write === percent ? shares : short, log);
};

/* Accuracy against sparsity. */

const ACROSS = {
  "weights kept": { of: (run) => run.density, axis: axis("weights kept", percent, shares, true) },
  sparsity: { of: (run) => 1 - run.density, axis: axis("sparsity", percent, shares) },
  compression: { of: (run) => 1 / run.density, axis: axis("compression", (value) => `${fixed(value, 2)}x`, (value) => `${short(value)}x`, true) },
};

/* The hyperparameters that have several values. */
function varying(among) {
  return Object.keys(report.shared).filter((name) =>
    new Set(among.map((run) => run.hyperparameters[name]).filter((value) => value !== undefined)).size > 1);
}

function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(key(item))) groups.set(key(item), []);
    groups.get(key(item)).push(item);
  }
  return groups;
}

/* The runs of a line at one place, as a point: their mean, and a deviation to either side. */
function together(group, of, measure) {
  const values = group.map((run) => run.metrics[measure]);
  const [y, spread, write] = [mean(values), deviation(values), writer(measure)];
  const note = group.length > 1 ? `${write(y)} ± ${write(spread)} (${group.length} runs)` : write(y);
  return { x: mean(group.map(of)), y, low: y - spread, high: y + spread, note, runs: group };
}

function showTradeoff() {
  const [group, measure, { of, axis: across }] = [at("group").value, at("outcome").value, ACROSS[at("across").value]];
  const able = chosen.shown.filter((run) => isThere(run.metrics[measure]) && Number.isFinite(of(run)));
  const label = (run) => {
    const value = run.hyperparameters[group]; // runs of two kinds are never on one line
    return value === undefined ? run.kind : `${run.kind}, ${written(value)}`;
  };
  const lines = [...groupBy(able, label)].map(([name, members]) => ({
    label: name,
    remark: `(${members.length} ${members.length === 1 ? "run" : "runs"})`,
    points: [...groupBy(members, (run) => of(run).toPrecision(4)).values()]
      .map((same) => together(same, of, measure)).sort((a, b) => a.x - b.x),
  })).sort((a, b) => a.label.localeCompare(b.label, "en", { numeric: true }));
  chart(at("tradeoff"), { lines, across, up: outcome(measure), name: `${measure} against ${across.label}, a line for each ${group}` });
  const mixed = new Set(lines.flatMap((line) => line.points).flatMap((point) => varying(point.runs)));
  at("tradeoff_note").textContent = `Of the runs in the table that have both: the mean and, as a band, one deviation (n - 1) to either side.` +
    (mixed.size ? ` Some points stand for runs that differ in more than their replicates: ${[...mixed].join(", ")}. Filter the table to tell them apart.` : "");
}

/* Learning curves. */

function showCurves() {
  const picked = runs.filter((run) => chosen.picked.has(run));
  const drawn = picked.slice(0, MOST_CURVES);
  for (const place of [0, 1]) {
    const measure = at(`measure_${place}`).value;
    const up = outcome(measure, at("log").checked);
    const lines = drawn.map((run) => ({ label: run.key, points: curve(run, measure) }))
      .map((line) => ({ ...line, remark: line.points.length ? `(last ${up.text(line.points.at(-1).y)})` : "(not measured)" }));
    chart(at(`curves_${place}`), { lines, across: axis("epoch", short, short), up, name: `${measure} by epoch, of the selected runs` });
  }
  const notes = picked.length ? [] : ["Select runs in the table to see their curves."];
  if (picked.length > drawn.length) notes.push(`${drawn.length} of the ${picked.length} selected runs are drawn.`);
  if (report.thinned) notes.push(`Longer curves are thinned to ${report.points} points, evenly spread.`);
  at("curves_note").textContent = notes.join(" ");
}

/* One run. */

const facts = (pairs) => html("table", { class: "plain" }, html("tbody", {}, ...pairs.map(([head, ...cells]) =>
  html("tr", {}, html("th", { scope: "row" }, head), ...cells.map((cell) => html("td", {}, cell))))));

function best(run) {
  const points = curve(run, "test accuracy").filter((point) => Number.isFinite(point.y));
  if (!points.length) return "-";
  const top = points.reduce((one, other) => (other.y > one.y ? other : one));
  return `${percent(top.y)} after epoch ${short(top.x)}${report.thinned ? " (of the points shown)" : ""}`;
}

/* The name of a run that may not be on this page. */
const linkOrName = (key) => (byKey.has(key) ? linkTo(byKey.get(key)) : html("span", { class: "name" }, `${key} (not on this page)`));

function listed(items) {
  return html("span", {}, ...items.flatMap((item, place) => (place ? [", ", item] : [item])));
}

function showRun() {
  const run = chosen.current;
  const needs = run.needs.map(([name, replicate]) => linkOrName(`${name}/replicate_${replicate}`));
  const branches = runs.filter((other) => other.parent === run.key).map((other) => linkTo(other));
  at("one").replaceChildren(
    html("p", {}, html("strong", { class: "name" }, run.key), " ", stateOf(run)),
    run.problem ? html("p", { class: "problem" }, run.problem) : "",
    facts([
      ...Object.entries(run.metrics).map(([name, value]) => [name, writer(name)(value)]),
      ["best test accuracy", best(run)],
      ["weights kept", keptText(run)],
      ["time", duration(run.seconds)],
      ["not at its default", run.differs || "nothing"],
      ["from", needs.length ? listed(needs) : "its initialization"],
      ["branches", branches.length ? listed(branches) : "none"],
    ]),
    html("h3", {}, "Layers"),
    layers(run),
  );
}

function layers(run) {
  const names = report.layers[run.layers];
  if (!names) return html("p", { class: "empty" }, "Nothing is known of its layers yet.");
  const rowsOf = names.map(([name, total], place) => {
    const kept = run.layers_kept[place];
    const density = total ? kept / total : 1;
    return html("tr", {}, html("th", { scope: "row", class: "name" }, name), html("td", {}, bar(density)),
      html("td", { class: "figure" }, percent(1 - density)), html("td", { class: "figure" }, `${count(kept)} of ${count(total)}`));
  });
  const heads = ["layer", "kept", "sparsity", "weights kept"].map((head) => html("th", { scope: "col" }, head));
  return html("table", { class: "plain layers" }, html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...rowsOf));
}

const bar = (density) =>
  svg("svg", { class: "bar", viewBox: "0 0 100 12", preserveAspectRatio: "none", role: "img", "aria-label": percent(density) },
    svg("rect", { class: "cut", width: 100, height: 12 }), svg("rect", { class: "kept", width: 100 * density, height: 12 }));

/* Two runs. */

const from = (run) => run.needs.map(([name, replicate]) => `${name}/replicate_${replicate}`).join(", ") || "its initialization";

/* The hyperparameters in which two runs differ. */
function hyperparameters(left, right) {
  const unknown = [left, right].filter((run) => !run.own);
  if (unknown.length) return html("p", { class: "empty" }, `Those of ${unknown[0].key} cannot be read.`);
  const value = (run, name) => (name in run.hyperparameters ? written(run.hyperparameters[name]) : "-");
  const lines = Object.keys(report.shared).map((name) => [name, value(left, name), value(right, name)]);
  const differ = [...lines, ["from", from(left), from(right)]].filter(([, a, b]) => a !== b);
  return differ.length ? compared(["", "A", "B"], differ) : html("p", { class: "empty" }, "None differ.");
}

function showDifferences() {
  const [left, right] = [byKey.get(at("left").value), byKey.get(at("right").value)];
  const measures = [...new Set([...Object.keys(left.metrics), ...Object.keys(right.metrics)])];
  const results = [
    ["state", stateText(left), stateText(right), ""],
    ...measures.map((name) => [name, ...side(left.metrics[name], right.metrics[name], writer(name))]),
    ["weights kept", ...side(left.density, right.density, percent)],
    ["time", ...side(left.seconds, right.seconds, duration)],
  ];
  at("differences").replaceChildren(
    html("h3", {}, "Hyperparameters"), hyperparameters(left, right),
    html("h3", {}, "Results"), compared(["", "A", "B", "B - A"], results),
  );
}

/* Two values and their difference, as texts. */
function side(a, b, write) {
  if (!isThere(a) || !isThere(b)) return [write(a), write(b), ""];
  const size = write(Math.abs(b - a));
  const sign = size === write(0) || Number.isNaN(b - a) ? "" : b < a ? "-" : "+";
  return [write(a), write(b), sign + size];
}

const compared = (heads, lines) => html("table", { class: "plain" },
  html("thead", {}, html("tr", {}, ...heads.map((head) => html("th", { scope: "col" }, head)))),
  html("tbody", {}, ...lines.map(([head, ...cells]) => html("tr", {}, html("th", { scope: "row" }, head), ...cells.map((cell) => html("td", {}, cell))))));

/* Lineage: the runs in the table, below those that they came from. */

function showLineage() {
  const inside = new Set(chosen.shown);
  const needed = new Set();
  for (let run of inside) for (; run && !needed.has(run); run = byKey.get(run.parent)) needed.add(run);
  const below = groupBy([...runs].filter((run) => needed.has(run)), (run) => (byKey.has(run.parent) ? run.parent : null));
  const tree = (key) => html("ul", {}, ...(below.get(key) ?? []).map((run) => html("li", { class: inside.has(run) ? undefined : "outside" },
    linkTo(run), " ", stateOf(run), ` ${percent(run.metrics["test accuracy"])} ${run.differs}`,
    run.parent && key === null ? ` from ${run.parent} (not on this page)` : "",
    ...(below.has(run.key) ? [tree(run.key)] : []))));
  at("lineage").replaceChildren(tree(null));
}
