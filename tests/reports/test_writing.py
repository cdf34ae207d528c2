"""The page is one text: its data cannot end its element, and its policy names its own script."""

from __future__ import annotations

import base64
import hashlib
import json
import re

from reports.gather import Report, gather
from reports.writing import page
from tests.reports.conftest import HOSTILE


def _data(text: str) -> dict[str, object]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def _report(root: str) -> Report:
    return gather([], root=root, written="now")


def test_data_is_written_and_read_back() -> None:
    """Whatever is in it: ends of elements, comments, marks of the page, half of a character."""
    for root in (
        HOSTILE,
        "%DATA%%SCRIPT%%POLICY%",
        "\\u003c \u2028 \N{SNOWMAN} \udc80",
        "<!--<script>",
    ):
        text = page(_report(root))
        assert _data(text)["root"] == root
        assert text.count("</script>") == 2
        assert text.count("<script") == 2
        text.encode()


def test_the_policy_lets_only_the_script_and_style_of_the_page_through() -> None:
    """By their checksums; everything else is refused."""
    text = page(_report("here"))
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    for tag in ("style", "script"):
        own = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert own is not None
        digest = base64.b64encode(hashlib.sha256(own[1].encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert rules == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}


def test_nothing_is_left_to_fetch() -> None:
    """There is no address in the page but those of the languages it is written in."""
    addresses = set(re.findall(r"https?://[^\s\"'<]*", page(_report("here"))))
    assert addresses == {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"}
