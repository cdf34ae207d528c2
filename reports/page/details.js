/* What is told of one run, of two, and of how all came from each other. */

/* A table of lines, each a head and what stands in its cells. */
function lined(heads, lines, look = "") {
  const top = html("tr", {}, ...heads.map((head) => html("th", { scope: "col" }, head)));
  const rows = lines.map(([head, ...cells]) =>
    html("tr", {}, html("th", { scope: "row" }, head), ...cells.map((cell) => html("td", {}, cell))));
  return html("table", { class: `plain ${look}` }, html("thead", { hidden: !heads.length }, top), html("tbody", {}, ...rows));
}

const empty = (text) => html("p", { class: "empty" }, text);

/* One run. */

function best(run) {
  const points = curve(run, "test accuracy").filter((point) => Number.isFinite(point.y));
  if (!points.length) return "-";
  const top = least(points, (point) => -point.y);
  return `${percent(top.y)} after epoch ${short(top.x)}${report.thinned ? " (of the points shown)" : ""}`;
}

/* The name of a run that may not be on this page. */
const linkOrName = (key) =>
  byKey.has(key) ? linkTo(byKey.get(key)) : html("span", { class: "name" }, `${key} (not on this page)`);

const listed = (items, otherwise) =>
  items.length ? html("span", {}, ...items.flatMap((item, place) => (place ? [", ", item] : [item]))) : otherwise;

function showRun() {
  const run = chosen.current;
  const branches = runs.filter((other) => other.parent === run.key).map((other) => linkTo(other));
  at("one").replaceChildren(
    html("p", {}, html("strong", { class: "name" }, run.key), " ", stateOf(run)),
    run.problem ? html("p", { class: "problem" }, run.problem) : "",
    lined([], [
      ...Object.entries(run.metrics).map(([name, value]) => [name, writer(name)(value)]),
      ["best test accuracy", best(run)],
      ["weights kept", keptText(run)],
      ["time", duration(run.seconds)],
      ["not at its default", run.differs || "nothing"],
      ["from", listed(run.sources.map(linkOrName), BEGINNING)],
      ["branches", listed(branches, "none")],
    ]),
    html("h3", {}, "Layers"),
    layers(run),
  );
}

function layers(run) {
  if (run.layers === null) return empty("Nothing is known of its layers yet.");
  const lines = report.layers[run.layers].map(([name, total], place) => {
    const kept = run.layers_kept[place];
    const density = total ? kept / total : 1;
    return [html("span", { class: "name" }, name), bar(density), percent(1 - density), `${count(kept)} of ${count(total)}`];
  });
  return lined(["layer", "kept", "sparsity", "weights kept"], lines, "layers");
}

function bar(density) {
  const look = { class: "bar", viewBox: "0 0 100 12", preserveAspectRatio: "none", role: "img" };
  return svg("svg", { ...look, "aria-label": percent(density) },
    svg("rect", { class: "cut", width: 100, height: 12 }),
    svg("rect", { class: "kept", width: 100 * density, height: 12 }));
}

/* Two runs. */

/* The hyperparameters in which two runs differ; those that only one of them has can be unfolded. */
function hyperparameters(left, right) {
  const unknown = [left, right].filter((run) => !run.own);
  if (unknown.length) return empty(`Those of ${unknown[0].key} cannot be read.`);
  const value = (run, name) => (name in run.hyperparameters ? written(run.hyperparameters[name]) : "-");
  const line = (name) => [name, value(left, name), value(right, name)];
  const from = (run) => run.sources.join(", ") || BEGINNING;
  const isShared = (name) => name in left.hyperparameters && name in right.hyperparameters;
  const names = Object.keys(report.shared);
  const lines = [["kind", left.kind, right.kind], ["from", from(left), from(right)], ...names.filter(isShared).map(line)];
  const differ = lines.filter(([, a, b]) => a !== b);
  const others = names.filter((name) => !isShared(name)).map(line).filter(([, a, b]) => a !== b);
  return html("div", {},
    differ.length ? lined(["", "A", "B"], differ) : empty("None differ."),
    html("details", { hidden: !others.length },
      html("summary", {}, `${others.length} that only one of them has`), lined(["", "A", "B"], others)));
}

/* Two values and their difference, as texts. */
function side(a, b, write) {
  if (!isThere(a) || !isThere(b)) return [write(a), write(b), ""];
  const size = write(Math.abs(b - a));
  const sign = size === write(0) || Number.isNaN(b - a) ? "" : b < a ? "-" : "+";
  return [write(a), write(b), sign + size];
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
    html("h3", {}, "Results"), lined(["", "A", "B", "B - A"], results),
  );
}

/* Lineage: the runs in the table, below those that they came from. */

function showLineage() {
  const inside = new Set(chosen.shown);
  const needed = new Set();
  for (let run of inside) for (; run && !needed.has(run); run = byKey.get(run.parent)) needed.add(run);
  const place = (run) => (byKey.has(run.parent) ? run.parent : null);
  const below = groupBy(runs.filter((run) => needed.has(run)), place);
  const tree = (key) => html("ul", {}, ...below.get(key).map((run) =>
    html("li", { class: inside.has(run) ? undefined : "outside" }, ...inLineage(run), below.has(run.key) ? tree(run.key) : "")));
  at("lineage").replaceChildren(needed.size ? tree(null) : empty("No run is shown in the table."));
}

function inLineage(run) {
  const isAstray = run.parent && !byKey.has(run.parent);
  const from = isAstray ? ` from ${run.parent} (not on this page)` : "";
  return [linkTo(run), " ", stateOf(run), ` ${percent(run.metrics["test accuracy"])} ${run.differs}${from}`];
}
