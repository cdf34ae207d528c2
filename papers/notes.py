"""What stands below a table: where its published numbers are from, and what is not there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from branches.run import Job
    from papers.paper import Paper, Study
    from papers.reading import Results


def notes(paper: Paper, study: Study, results: Results) -> tuple[str, ...]:
    """The lines below a table."""
    return (
        _sources(paper, study),
        *study.notes,
        *_lacking(study, results),
    )


def _sources(paper: Paper, study: Study) -> str:
    cells = [cell.published for _, _, cell in study.table.in_order]
    published = [number for number in cells if number is not None]
    if not published:
        cited = f" Paper: {paper.citation}" if paper.citation else ""
        return f"No published number of this table is at hand.{cited}"
    places = dict.fromkeys(number.where for number in published if number.where)
    where = f" ({'; '.join(places)})" if places else ""
    return f"Published: {paper.citation}{where}"


def _lacking(study: Study, results: Results) -> Iterator[str]:
    """How many runs are not done, and why each that failed or is damaged is."""
    lacking = results.not_done(study)
    if not lacking:
        return
    counts = Counter(reason.partition(":")[0] for reason in lacking.values())
    said = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    every = len(study.runs) * len(results.replicates)
    yield f"{len(lacking)} of {every} runs are not done ({said}): a dash, or fewer replicates."
    reasons = [_explained(job, why) for job, why in lacking.items() if ":" in why]
    if reasons:
        yield "\n".join(reasons)


def _explained(job: Job, why: str) -> str:
    return f"- {job.description.name}/replicate_{job.replicate} {' '.join(why.split())}"
