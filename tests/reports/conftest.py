"""A headless Chromium, and roots of runs in every state, for the tests of pages."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.many_runs import many_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

HOSTILE = "</script><img src=x onerror=alert(1)><!--"
"""What must stay text, wherever it stands."""

STRANGE = "<img src=x onerror=alert(1)>_0123456789abcdef"
"""The name of a run that nobody made with this project."""

FAILED, RUNNING, DAMAGED = 19, 18, 17
"""Places, among the runs that ``many_runs`` makes, of those that are made otherwise."""


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with two replicates of a dense run and of nine branches, some not done, and another.

    Only to be read.
    """
    root = tmp_path_factory.mktemp("mixed") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPEN_PRUNE_DATA", str(tmp_path_factory.mktemp("data")))
        made = many_runs(root, 20)
    for place in (FAILED, RUNNING):
        (made[place].path / "done.json").unlink()
    (made[FAILED].path / "failed.json").write_text(json.dumps({"reason": HOSTILE}))
    (made[DAMAGED].path / "metrics.csv").write_text("iteration\n")
    (root / STRANGE / "replicate_1").mkdir(parents=True)
    (root / STRANGE / "replicate_1" / "hparams.json").write_text("{")
    return root


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser of which the network and the console are recorded."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("Chromium is not installed (Debian: chromium and chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("chromium")
    for flag in (
        "--headless=new",
        "--no-sandbox",  # it refuses to be root with one
        "--disable-dev-shm-usage",
        "--window-size=1400,1000",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    browser.set_page_load_timeout(120)
    yield browser
    browser.quit()
