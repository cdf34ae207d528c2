"""The page in a real browser: what is on it, what clicks do, and that it asks for nothing."""

from __future__ import annotations

import csv
import json
import math
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import pytest

from branches.opened import Run
from commands.results import end_metric, kept
from commands.text import decimal, duration, percent
from foundations.store import Store
from reports.gather import gather
from reports.writing import page
from tests.reports.conftest import HOSTILE, STRANGE
from training.provenance import training_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

    from foundations.run_directory import RunDirectory

pytestmark = pytest.mark.browser

CSS = "css selector"


@pytest.fixture(scope="session")
def written(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of all runs of the root."""
    runs = [Run(directory, mixed) for directory in Store(mixed).runs()]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(gather(runs, root=str(mixed), written="today")))
    return path


@pytest.fixture
def opened(chromium: Chrome, written: Path) -> Iterator[Chrome]:
    """The page, as it is when it was just opened; nothing may be wrong with it in the end."""
    chromium.get("about:blank")
    chromium.get(written.as_uri())
    yield chromium
    assert _log(chromium, "browser") == []


def _texts(browser: Chrome, selector: str) -> list[str]:
    return [found.text for found in browser.find_elements(CSS, selector)]


def _rows(browser: Chrome) -> list[list[str]]:
    """The cells of the table, without the boxes."""
    script = """return [...document.querySelectorAll("#table tbody tr")].map(
        (row) => [...row.cells].slice(1).map((cell) => cell.innerText))"""
    return list(browser.execute_script(script))


def _row(browser: Chrome, run: RunDirectory) -> WebElement:
    for row in browser.find_elements(CSS, "#table tbody tr"):
        name, replicate = (cell.text for cell in row.find_elements(CSS, "td")[1:3])
        if (name, replicate) == (run.name, str(run.replicate)):
            return row
    raise AssertionError(run.path)


def _choose(browser: Chrome, select: str, value: str) -> None:
    for option in browser.find_elements(CSS, f"#{select} option"):
        if option.get_attribute("value") == value:
            option.click()
            return
    raise AssertionError(value)


def _runs(root: Path, kind: str, replicate: int = 1) -> list[RunDirectory]:
    return [
        run
        for run in Store(root).runs()
        if run.name.startswith(kind) and run.replicate == replicate
    ]


def _key(run: RunDirectory) -> str:
    return f"{run.name}/replicate_{run.replicate}"


def _log(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    """What was logged since this was asked last."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def test_nothing_is_asked_of_the_network(opened: Chrome, written: Path) -> None:
    """The page alone is read."""
    _log(opened, "performance")  # the browser's own pages
    opened.refresh()
    events = [json.loads(entry["message"])["message"] for entry in _log(opened, "performance")]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert {event["request"]["url"] for event in sent} == {written.as_uri()}


def test_what_is_put_into_the_page_neither_runs_nor_loads(opened: Chrome) -> None:
    """The policy of the page refuses every script but its own, and every address."""
    opened.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        const image = document.createElement("img");
        image.src = "http://127.0.0.1:9/nothing.png";
        document.body.append(script, image);""")
    assert opened.execute_script("return window.ran") is None
    refused = [entry["message"] for entry in _log(opened, "browser")]
    assert len(refused) == 2
    assert all("Content Security Policy" in message for message in refused)


def test_the_table_says_what_ls_says(opened: Chrome, mixed: Path) -> None:
    """Accuracy, loss, weights kept and time of every run that is done."""
    rows = {(row[0], row[1]): row for row in _rows(opened)}
    done = [run for run in _runs(mixed, "oneshot") + _runs(mixed, "train") if run.done()]
    assert len(done) == 10
    assert len(rows) == 21
    for run in done:
        assert rows[run.name, str(run.replicate)][2:8] == [
            run.name.partition("_")[0],
            "● done".removeprefix("● "),
            percent(end_metric(run, "test accuracy")),
            decimal(end_metric(run, "test loss")),
            kept(run),
            duration(training_seconds(run)),
        ]


def test_runs_that_are_not_done(opened: Chrome) -> None:
    """They are there with their state and what is wrong, as text whatever is in it."""
    states = {row[3].split()[0]: row for row in _rows(opened)}
    assert states.keys() == {"done", "failed", "interrupted", "damaged"}
    assert states["interrupted"][3] == "interrupted 100 %"
    assert HOSTILE in states["failed"][8]
    assert any(row[0] == STRANGE for row in _rows(opened))
    assert opened.find_elements(CSS, "img") == []
    _choose(opened, "state", "failed")
    opened.find_element(CSS, "#table tbody a").click()
    assert HOSTILE in _texts(opened, "#one .problem")


def test_sorting(opened: Chrome, mixed: Path) -> None:
    """By a click and again by a key, up and then down; those without a value come last."""
    column = 4
    head = opened.find_elements(CSS, "#table th button")[column]
    values = [end_metric(run, "test accuracy") for run in Store(mixed).runs() if _is_done(run)]
    sorted_up = [percent(value) for value in sorted(value for value in values if value is not None)]
    head.click()
    assert [row[column] for row in _rows(opened)] == [*sorted_up, *["-"] * (21 - len(sorted_up))]
    head.send_keys("\n")
    assert [row[column] for row in _rows(opened)][: len(sorted_up)] == sorted_up[::-1]
    assert _rows(opened)[-1][column] == "-"
    sorts = [
        th.get_attribute("aria-sort") for th in opened.find_elements(CSS, "#table th[aria-sort]")
    ]
    assert [place for place, sort in enumerate(sorts) if sort != "none"] == [column]
    assert sorts[column] == "descending"


def _is_done(run: RunDirectory) -> bool:
    return (run.path / "done.json").exists()


def test_filtering(opened: Chrome, mixed: Path) -> None:
    """By words that all must occur, hyperparameters among them, by state and by kind."""
    words = opened.find_element(CSS, "#words")
    (one,) = [run for run in _runs(mixed, "oneshot") if _fraction(run) == 0.36]
    words.send_keys("branch.prune_fraction=0.36 replicate_1")
    assert [row[:2] for row in _rows(opened)] == [[one.name, "1"]]
    assert opened.find_element(CSS, "#shown").text == "1 of 21 runs"
    words.clear()
    words.send_keys("nothing of the kind")
    assert _rows(opened) == []
    words.clear()
    words.send_keys(" ")
    _choose(opened, "kind", "train")
    assert [row[1] for row in _rows(opened)] == ["1", "2"]
    _choose(opened, "kind", "")
    _choose(opened, "state", "failed")
    assert len(_rows(opened)) == 1


def _fraction(run: RunDirectory) -> float:
    described = json.loads((run.path / "hparams.json").read_text())
    return float(described["branch"]["prune_fraction"])


def test_curves(opened: Chrome, mixed: Path) -> None:
    """Selected runs have a line each, with a point for each measurement, and its value."""
    opened.find_element(CSS, "#pick_none").click()
    assert opened.find_elements(CSS, "#curves_0 path") == []
    assert "Select runs" in opened.find_element(CSS, "#curves_note").text
    chosen = _runs(mixed, "oneshot")[:3]
    for run in chosen:
        _row(opened, run).find_element(CSS, "input").click()
    for place, name in enumerate(("accuracy", "loss")):
        drawn = [
            line.get_attribute("d") or ""
            for line in opened.find_elements(CSS, f"#curves_{place} > svg path.line")
        ]
        measured = [_measured(run, "test", name) for run in chosen]
        assert [len(path.replace("M", "L").split("L")) - 1 for path in drawn] == [3, 3, 3]
        assert [len(values) for values in measured] == [3, 3, 3]
        legend = _texts(opened, f"#curves_{place} .legend li")
        write = percent if name == "accuracy" else decimal
        assert legend == [
            f"{_key(run)} (last {write(values[-1])})"
            for run, values in zip(chosen, measured, strict=True)
        ]


def _measured(run: RunDirectory, phase: str, name: str) -> list[float]:
    with (run.path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [float(row["value"]) for row in rows if (row["phase"], row["name"]) == (phase, name)]


def test_values_by_keys(opened: Chrome, mixed: Path) -> None:
    """A chart that has the focus tells the values at each epoch."""
    (dense,) = _runs(mixed, "train")
    opened.find_element(CSS, "#pick_none").click()
    _row(opened, dense).find_element(CSS, "input").click()
    chart = opened.find_element(CSS, "#curves_0 > svg")
    tip = opened.find_element(CSS, "#curves_0 .tip")
    assert not tip.is_displayed()
    for epoch, value in enumerate(_measured(dense, "test", "accuracy")):
        chart.send_keys("\ue014")  # the arrow to the right
        assert tip.text.split("\n") == [f"epoch {epoch}", percent(value), _key(dense)]
    chart.send_keys("\ue00c")  # escape
    assert not tip.is_displayed()


def test_accuracy_against_sparsity(opened: Chrome, mixed: Path) -> None:
    """Points are means over replicates; what is filtered out is not in them."""
    _choose(opened, "group", "kind")
    assert _texts(opened, "#tradeoff .legend li") == ["oneshot (15 runs)", "train (2 runs)"]
    line, dense = opened.find_elements(CSS, "#tradeoff > svg path.line")
    assert len((line.get_attribute("d") or "").replace("M", "L").split("L")) - 1 == 9
    assert (dense.get_attribute("d") or "").startswith("M")
    opened.find_element(CSS, "#words").send_keys("prune_fraction=0.2")
    runs = [
        run for number in (1, 2) for run in _runs(mixed, "oneshot", number) if _fraction(run) == 0.2
    ]
    values = [end_metric(run, "test accuracy") for run in runs]
    opened.find_element(CSS, "#tradeoff > svg").send_keys("\ue014")
    told = opened.find_element(CSS, "#tradeoff .tip").text
    assert f"{percent(mean(value for value in values if value is not None))} ±" in told
    assert "(2 runs)" in told


def test_layers(opened: Chrome, mixed: Path) -> None:
    """A click on a run shows its layers, a bar each as long as what is kept."""
    run = _runs(mixed, "oneshot")[4]
    _row(opened, run).find_element(CSS, "a").click()
    assert opened.find_element(CSS, "#one strong").text == _key(run)
    assert opened.switch_to.active_element.text == "One run"
    layers = json.loads((run.path / "sparsity.json").read_text())["layers"]
    rows = opened.find_elements(CSS, "#one .layers tbody tr")
    bars = opened.find_elements(CSS, "#one .bar .kept")
    assert len(rows) == len(bars) == len(layers) == 2
    for row, bar, layer in zip(rows, bars, layers, strict=True):
        density = layer["kept"] / layer["total"]
        assert row.text.split()[0] == layer["layer"]
        assert row.text.endswith(f"{percent(1 - density)} {layer['kept']} of {layer['total']}")
        assert float(bar.get_attribute("width") or "nan") == pytest.approx(100 * density)


def test_lineage(opened: Chrome, mixed: Path) -> None:
    """Branches lie below their parents; a click goes to the run, and back is the one before."""
    (dense,) = _runs(mixed, "train")
    script = """return [...document.querySelectorAll("#lineage li")].filter(
        (item) => item.querySelector("a").textContent === arguments[0]).flatMap(
        (item) => [...item.querySelectorAll(":scope li a")].map((link) => link.textContent))"""
    below = opened.execute_script(script, _key(dense))
    assert below == [_key(run) for run in _runs(mixed, "oneshot")]
    for key in below[:2]:
        opened.find_element("link text", key)
        (link,) = [a for a in opened.find_elements(CSS, "#lineage a") if a.text == key]
        link.click()
        assert opened.find_element(CSS, "#one strong").text == key
    opened.back()
    assert opened.find_element(CSS, "#one strong").text == below[0]
    (parent,) = opened.find_elements(CSS, "#one table a")
    assert parent.text == _key(dense)


def test_two_runs(opened: Chrome, mixed: Path) -> None:
    """Selecting two shows in which hyperparameters and results they differ."""
    left, right = _runs(mixed, "oneshot")[1:3]
    opened.find_element(CSS, "#pick_none").click()
    for run in (left, right):
        _row(opened, run).find_element(CSS, "input").click()
    chosen = [
        opened.find_element(CSS, f"#{side}").get_attribute("value") for side in ("left", "right")
    ]
    assert chosen == [_key(left), _key(right)]
    rows = {
        cells[0]: cells[1:]
        for row in opened.find_elements(CSS, "#differences tbody tr")
        if (cells := [cell.text for cell in row.find_elements(CSS, "th,td")])
    }
    fractions = [str(_fraction(run)) for run in (left, right)]
    assert rows["branch.prune_fraction"] == fractions
    assert not any(name.startswith("training.") for name in rows)
    a, b = (end_metric(run, "test accuracy") or 0.0 for run in (left, right))
    sign = "-" if b < a else "+"
    assert rows["test accuracy"] == [percent(a), percent(b), sign + percent(abs(b - a))]
    (dense,) = _runs(mixed, "train")
    _choose(opened, "right", _key(dense))
    shown = opened.find_element(CSS, "#differences table").text.splitlines()
    assert shown[1:3] == ["kind oneshot train", f"from {_key(dense)} its initialization"]
    folded = opened.find_element(CSS, "#differences details")
    assert "branch.strategy" not in folded.text
    folded.find_element(CSS, "summary").click()
    assert "branch.strategy magnitude -" in folded.text
    _choose(opened, "right", _key(left))
    assert "None differ." in opened.find_element(CSS, "#differences").text


def test_numbers_are_written_as_on_the_command_line(opened: Chrome) -> None:
    """Halves that a float holds exactly, times just below a minute or an hour, and no number."""
    halves = [0.50125, 0.00375, 0.11375, 0.125, 0.375]
    fractions = [0.0, 1.0, 1 / 3, *halves, *(place / 317 for place in range(317))]
    losses = [0.00003125, 0.03125, 0.09375, 2.5, 1e9, *(place / 31.7 for place in range(317))]
    times = [0.0, 0.25, 0.35, 59.94, 59.96, 60.5, 61.5, 3599.4, 3599.6, 7261.0, 90_000.0]
    for write, values in ((percent, fractions), (decimal, losses), (duration, times)):
        script = f"return arguments[0].map({write.__name__})"
        assert opened.execute_script(script, values) == [write(value) for value in values]
    script = "return [percent(null), decimal(NaN), percent(number('-inf')), count(1234567)]"
    told = [percent(None), decimal(math.nan), percent(-math.inf), f"{1234567:,}"]
    assert opened.execute_script(script) == told


def test_statistics(opened: Chrome) -> None:
    """The mean, and the deviation of a sample, which one value has not."""
    values = [0.5, 0.25, 0.9, 0.1]
    told = opened.execute_script("return [mean(arguments[0]), deviation(arguments[0])]", values)
    assert told == pytest.approx([mean(values), stdev(values)])
    assert opened.execute_script("return deviation([0.5])") == 0


@pytest.mark.parametrize(
    ("low", "high", "kind", "expected"),
    [
        (0, 10, "linear", [0, 2, 4, 6, 8, 10]),
        (0, 160, "linear", [0, 25, 50, 75, 100, 125, 150]),
        (0.1, 0.97, "linear", [0.2, 0.4, 0.6, 0.8]),
        (0.05, 1, "log", [0.05, 0.1, 0.2, 0.5, 1]),
        (1e-6, 1, "log", [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]),
        (0.3, 0.4, "log", [math.sqrt(0.12)]),
    ],
)
def test_ticks(opened: Chrome, low: float, high: float, kind: str, expected: list[float]) -> None:
    """Round numbers within the axis; of a logarithmic one 1, 2 and 5, or whole decades."""
    script = "return ticks([arguments[0], arguments[1]], arguments[2] === 'log')"
    assert opened.execute_script(script, low, high, kind) == pytest.approx(expected)


def test_a_line_has_a_gap_where_a_loss_is_no_number(opened: Chrome) -> None:
    """It goes on behind the gap; a logarithmic axis has no place for zero either."""
    script = """
        const points = [1, 2, NaN, 0, 3].map((y, x) => ({ x, y }));
        const same = (value) => value;
        const drawn = (log) => path(points, { x: same, y: same, across: {}, up: { log } });
        return [drawn(false), drawn(true)];"""
    assert opened.execute_script(script) == [
        "M0.0,1.0L1.0,2.0M3.0,0.0L4.0,3.0",
        "M0.0,1.0L1.0,2.0M4.0,3.0",
    ]


def test_no_runs(chromium: Chrome, tmp_path: Path) -> None:
    """The page says so."""
    (tmp_path / "page.html").write_text(page(gather([], root="/nowhere", written="today")))
    chromium.get((tmp_path / "page.html").as_uri())
    assert (
        chromium.find_element(CSS, "header p").text == "There are no runs in /nowhere yet (today)."
    )
    assert not chromium.find_element(CSS, "main").is_displayed()
    assert _log(chromium, "browser") == []


@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_is_no_wider_than_the_window(opened: Chrome, width: int) -> None:
    """Wide tables scroll by themselves."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        script = "return [document.documentElement.scrollWidth, innerWidth]"
        content, window = opened.execute_script(script)
        assert content <= window == width
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
