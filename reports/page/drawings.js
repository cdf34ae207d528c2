/* What is drawn of many runs: accuracy against sparsity, and learning curves. */

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
  compression: {
    of: (run) => 1 / run.density,
    axis: axis("compression", (value) => `${fixed(value, 2)}x`, (value) => `${short(value)}x`, true),
  },
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
  const note = group.length > 1 ? `${write(y)} ± ${write(spread)} (${many(group)})` : write(y);
  return { x: mean(group.map(of)), y, low: y - spread, high: y + spread, note, runs: group };
}

function showTradeoff() {
  const [group, measure] = [at("group").value, at("outcome").value];
  const { of, axis: across } = ACROSS[at("across").value];
  const able = chosen.shown.filter((run) => isThere(run.metrics[measure]) && Number.isFinite(of(run)));
  const label = (run) => {
    const value = run.hyperparameters[group]; // runs of two kinds are never on one line
    return value === undefined ? run.kind : `${run.kind}, ${written(value)}`;
  };
  const lines = [...groupBy(able, label)].map(([name, members]) => ({
    label: name,
    remark: `(${many(members)})`,
    points: [...groupBy(members, (run) => of(run).toPrecision(4)).values()]
      .map((same) => together(same, of, measure)).sort((a, b) => a.x - b.x),
  })).sort((a, b) => a.label.localeCompare(b.label, "en", { numeric: true }));
  const name = `${measure} against ${across.label}, a line for each ${group}`;
  chart(at("tradeoff"), { lines, across, up: outcome(measure), name });
  const mixed = new Set(lines.flatMap((line) => line.points).flatMap((point) => varying(point.runs)));
  const notes = ["Of the runs in the table that have both:",
    "the mean and, as a band, one deviation (n - 1) to either side."];
  if (mixed.size) {
    notes.push("Some points stand for runs that differ in more than their replicates:",
      `${[...mixed].join(", ")}. Filter the table to tell them apart.`);
  }
  at("tradeoff_note").textContent = notes.join(" ");
}

/* Learning curves. */

function showCurves() {
  const picked = runs.filter((run) => chosen.picked.has(run));
  const drawn = picked.slice(0, MOST_CURVES);
  for (const place of [0, 1]) {
    const measure = at(`measure_${place}`).value;
    const up = outcome(measure, at("log").checked);
    const lines = drawn.map((run) => {
      const points = curve(run, measure);
      const remark = points.length ? `(last ${up.text(points.at(-1).y)})` : "(not measured)";
      return { label: run.key, points, remark };
    });
    const name = `${measure} by epoch, of the selected runs`;
    chart(at(`curves_${place}`), { lines, across: axis("epoch", short, short), up, name });
  }
  const notes = picked.length ? [] : ["Select runs in the table to see their curves."];
  if (picked.length > drawn.length) notes.push(`${drawn.length} of the ${count(picked.length)} selected runs are drawn.`);
  if (report.thinned) notes.push(`Longer curves are thinned to ${report.points} points, evenly spread.`);
  at("curves_note").textContent = notes.join(" ");
}
