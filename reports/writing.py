"""The page as one text that needs nothing else: markup, style, script and data in one.

What runs are called, and what plugins say, is data. It is written as JSON in which no tag can end,
the script puts it on the page as text alone, and the policy in the head of the page lets nothing
run or load but the style and the script that are in ``page/``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foundations.hparams import Json
    from reports.gather import Report

_PAGE = Path(__file__).parent / "page"
_SCRIPTS = ("tools.js", "chart.js", "table.js", "drawings.js", "details.js", "page.js")
"""In this order: each uses what is before it."""


def page(report: Report) -> str:
    """The HTML of a report."""
    style = _read("page.css")
    script = "\n".join(map(_read, _SCRIPTS))
    policy = f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
    parts = {
        "POLICY": policy + "base-uri 'none'; form-action 'none'",
        "STYLE": style,
        "SCRIPT": script,
        "DATA": _escaped(report.to_json_dict()),  # last: no mark that is in it is looked for
    }
    text = _read("page.html")
    for mark, part in parts.items():
        text = text.replace(f"%{mark}%", part, 1)
    return text


def _read(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """What a content security policy calls the text of a style or script that it lets through."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _escaped(value: Json) -> str:
    """Strict JSON without a ``<``, so that nothing in it ends the element that it is in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")
