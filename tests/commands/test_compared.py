"""``eval --flops --compression --latency --memory``: dense, masked and compacted side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from commands.compared import latency
from tests.commands.conftest import BRANCH, DENSE, PRUNED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli, Told

ALL = ("--flops", "--compression", "--latency", "--memory")
QUICK = (
    "--latency_batches=1,3",
    "--latency_threads=1",
    "--latency_repeats=3",
    "--latency_warmup=0",
    "--memory_batches=2",
)


def _json(told: Told) -> dict[str, Any]:
    assert (told.code, told.err) == (0, "")
    (found,) = json.loads(told.out)
    return dict(found)


def test_a_run_without_mask(cli: Cli, done: Path) -> None:
    """There is the dense network alone, and that is said."""
    found = _json(cli("eval", DENSE, *ALL, *QUICK, "--json"))
    assert found["flops"] == {
        "step": "2ep",
        "parameters": {"dense": 610},
        "operations": [
            {"convention": "macs", "unit": "multiply-accumulates", "count": {"dense": 592}}
        ],
    }
    stored = {"step": "2ep", "unit": "bytes", "stored": {"dense": 2440}, "ratio": {}}
    assert found["compression"] == stored
    timed = found["latency"]
    assert (timed["unit"], timed["parameters"]) == ("seconds", {"dense": 610})
    assert [(each["batch"], each["threads"]) for each in timed["results"]] == [(1, 1), (3, 1)]
    assert all(each["rounds"] == 3 and each["speedup"] == {} for each in timed["results"])
    assert found["memory"] == {
        "step": "2ep",
        "unit": "bytes",
        "counted": "tensors",
        "results": [
            {
                "batch": 2,
                "variants": {
                    "dense": {
                        "stored": 2440,
                        "images": 2 * 64 * 4,
                        "passing": 2 * (8 + 10) * 4,
                        "peak": 2440 + 2 * 64 * 4 + 2 * (8 + 10) * 4,
                    }
                },
            }
        ],
    }
    assert (
        "The run has no mask: there is nothing to compare." in cli("eval", DENSE, *ALL, *QUICK).out
    )


def test_single_weights(cli: Cli, done: Path) -> None:
    """What a mask of weights leaves is counted; what compaction leaves is never more."""
    words = ("eval", PRUNED, *ALL, *QUICK, "--flops_convention=macs,ptflops,rethinking")
    found = _json(cli(*words, "--json"))
    kept, flops = 118, found["flops"]
    assert flops["parameters"]["dense"] == 610
    assert flops["parameters"]["masked"] == kept + 18
    assert 0 < flops["parameters"]["compacted"] <= 610
    by_name = {each["convention"]: each for each in flops["operations"]}
    small = by_name["macs"]["count"].pop("compacted")
    assert by_name["macs"]["count"] == {"dense": 592, "masked": kept}
    assert kept <= small < 592  # some pixels are read by nothing
    assert by_name["ptflops"]["count"]["masked"] == 592 + 18 + 8
    assert by_name["rethinking"]["unit"] == "operations"
    stored = found["compression"]["stored"]
    assert (stored["dense"], stored["masked"]) == (2440, 4 * (kept + 18) + 512 // 8 + 80 // 8)
    assert stored["masked"] < stored["compacted"] < stored["dense"]
    assert found["compression"]["ratio"] == {
        name: pytest.approx(2440 / stored[name]) for name in ("masked", "compacted")
    }
    (first, _), (held,) = found["latency"]["results"], found["memory"]["results"]
    names = ["dense", "masked", "compacted"]
    assert (list(first["seconds"]), list(held["variants"])) == (names, names)
    assert list(first["speedup"]) == names[1:]
    assert held["variants"]["masked"] == held["variants"]["dense"]
    (row,) = [row for row in cli(*words).rows if row[:1] == ["parameters"]]
    assert row[1:] == ["610", "136", str(flops["parameters"]["compacted"])]


def test_channels_at_an_earlier_step(cli: Cli) -> None:
    """Two of eight hidden units are left: compaction removes six, with all that reads them."""
    units = ("--granularity=nodes", "--strategy=random", "--prune_fraction=0.75")
    assert cli(*BRANCH, *units, "--quiet").code == 0
    found = _json(cli("eval", "one", "--flops", "--compression", "--state_step=1ep", "--json"))
    left, kept = 2 * 64 + 2 + 2 * 10 + 10, 2 * 64 + 2 + 8 * 10 + 10
    assert found["flops"]["step"] == found["compression"]["step"] == "1ep"
    assert found["flops"]["parameters"] == {"dense": 610, "masked": kept, "compacted": left}
    (macs,) = found["flops"]["operations"]
    assert macs["count"] == {"dense": 592, "masked": 208, "compacted": 148}
    assert found["compression"]["stored"]["compacted"] == 4 * left


def _timed(*, masked: float, compacted: float, parameters: int) -> dict[str, Any]:
    """Dense takes 4 ms, the others these times; a tenth of the time to either side."""
    seconds = {"dense": 4e-3, "masked": masked, "compacted": compacted}
    spreads = {
        name: {"median": t, "lower_quartile": 0.9 * t, "upper_quartile": 1.1 * t}
        for name, t in seconds.items()
    }
    speedup = {name: 4e-3 / seconds[name] for name in ("masked", "compacted")}
    result = {"batch": 1, "threads": 2, "rounds": 9, "seconds": spreads, "speedup": speedup}
    counts = {"dense": 10, "masked": 5, "compacted": parameters}
    return {"device": "a CPU", "parameters": counts, "results": [result]}


@pytest.mark.parametrize(
    ("timed", "said"),
    [
        (_timed(masked=4.1e-3, compacted=4e-3, parameters=10), ["mask alone", "removes nothing"]),
        (_timed(masked=4.1e-3, compacted=1e-3, parameters=5), ["mask alone"]),
        (_timed(masked=6e-3, compacted=4.2e-3, parameters=9), ["mask alone", "not faster"]),
        (_timed(masked=2e-3, compacted=1e-3, parameters=5), []),
    ],
)
def test_where_there_is_no_speed_that_is_said(timed: dict[str, Any], said: list[str]) -> None:
    """Below the table, in words; nothing where both are faster."""
    device, shown, *lines = latency(timed)
    assert device == "latency on a CPU"
    assert "4.000 ms (3.600 to 4.400)" in shown
    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines, strict=True))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--flops", "--flops_convention=ptflop"), "There is no counting convention 'ptflop'. Did"),
        (("--flops_convention=ptflops",), "it needs --flops"),
        (("--latency_repeats=9",), "it needs --latency"),
        (("--memory_batches=2",), "it needs --memory"),
        (("--latency", "--latency_batches=0"), "each must be at least 1"),
        (("--memory", "--memory_batches=8,-1"), "each must be at least 1"),
        (("--latency", "--latency_threads=some"), "each is a number of at least 1, or all"),
        (("--latency", "--latency_threads=0"), "each is a number of at least 1, or all"),
        (("--latency", "--latency_warmup=-1"), "it must be at least 0"),
        (("--latency", "--latency_repeats=2"), "it must be at least 3"),
        (("--latency", "--latency_seconds=0"), "it must be more than 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes(words: tuple[str, ...], said: str, cli: Cli, done: Path) -> None:
    """Each is named before anything is measured."""
    told = cli("eval", DENSE, *words)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert "Traceback" not in told.err
