/* What the reader does, and what is drawn anew then. */

/* After another filter: all that shows the runs in the table. */
function showFiltered() {
  showTable();
  showTradeoff();
  showLineage();
}

/* After another selection: curves, and the first two of it are compared. */
function showPicked() {
  const [left, right] = runs.filter((run) => chosen.picked.has(run));
  if (right) [at("left").value, at("right").value] = [left.key, right.key];
  chosen.shown.forEach(rowOf);
  showCurves();
  showDifferences();
}

function toggle(run) {
  if (!chosen.picked.delete(run)) chosen.picked.add(run);
  showPicked();
}

function pick(some) {
  chosen.picked = new Set(some);
  showPicked();
}

/* Show one run, and go there. */
function visit(run) {
  chosen.current = run;
  chosen.shown.forEach(rowOf);
  showRun();
  at("one_head").focus();
  at("one_head").scrollIntoView({ block: "start" });
}

function openFromAddress() {
  const run = byKey.get(decodeURIComponent(location.hash.slice(1)));
  if (run && run !== chosen.current) visit(run);
}

/* The options of all selects. */
function showChoices() {
  const values = (of) => [...new Set(runs.map(of))].sort().map((value) => [value, value]);
  const names = (list) => list.map((name) => [name, name]);
  choices(at("state"), [["", "any"], ...values((run) => run.state)]);
  choices(at("kind"), [["", "any"], ...values((run) => run.kind)]);
  const groups = varying(runs);
  choices(at("group"), names(["kind", ...groups]), groups.includes("branch.strategy") ? "branch.strategy" : "kind");
  choices(at("across"), names(Object.keys(ACROSS)));
  choices(at("outcome"), names([...new Set(["test accuracy", ...runs.flatMap((run) => Object.keys(run.metrics))])]));
  const measures = [...new Set(["test accuracy", "test loss", ...runs.flatMap((run) => Object.keys(run.curves))])];
  choices(at("measure_0"), names(measures), "test accuracy");
  choices(at("measure_1"), names(measures), "test loss");
  const keys = runs.map((run) => [run.key, run.key]);
  choices(at("left"), keys);
  choices(at("right"), keys, runs[1]?.key);
}

function listen() {
  const on = (event, show, ...ids) => ids.forEach((id) => at(id).addEventListener(event, show));
  on("input", showFiltered, "words");
  on("change", showFiltered, "state", "kind");
  on("change", showTradeoff, "group", "across", "outcome");
  on("change", showCurves, "measure_0", "measure_1", "log");
  on("change", showDifferences, "left", "right");
  on("click", () => pick(chosen.shown), "pick_shown");
  on("click", () => pick([]), "pick_none");
  addEventListener("hashchange", openFromAddress);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a phone's bars come and go
    width = innerWidth;
    showTradeoff();
    showCurves();
  });
}

function start() {
  const byState = groupBy(runs, (run) => run.state);
  const states = [...byState].map(([state, some]) => `${count(some.length)} ${state}`).join(", ");
  document.title = `Runs in ${report.root}`;
  at("about").textContent = runs.length
    ? `${many(runs)} in ${report.root} (${states}), as of ${report.written}.`
    : `There are no runs in ${report.root} yet (${report.written}).`;
  if (!runs.length) return;
  at("main").hidden = false;
  showHeads();
  showChoices();
  listen();
  showFiltered();
  showRun();
  pick(chosen.shown.filter((run) => Object.keys(run.curves).length).slice(0, 4));
  openFromAddress();
}

start();
