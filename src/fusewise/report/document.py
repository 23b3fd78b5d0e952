"""The report: results in, one page out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import escape

from fusewise import __version__
from fusewise.data import write_atomically
from fusewise.exceptions import ReportError, RunFolderError
from fusewise.report.blocks import Section
from fusewise.report.frames import patterns_of
from fusewise.report.numbers import known, plural
from fusewise.report.plain import plain_data
from fusewise.report.render import render_html, render_markdown
from fusewise.report.sections.availability import availability_section
from fusewise.report.sections.calibration import calibration_section
from fusewise.report.sections.comparison import comparison_section
from fusewise.report.sections.compute import compute_section
from fusewise.report.sections.degradation import degradation_section
from fusewise.report.sections.dimensions import dimensions_section
from fusewise.report.sections.evidence import evidence_section
from fusewise.report.sections.findings import findings_section
from fusewise.report.sections.groups import groups_section
from fusewise.report.sections.headline import headline_section
from fusewise.report.sections.making import making_section
from fusewise.report.sections.patterns import patterns_section
from fusewise.report.sections.plain import plain_section
from fusewise.report.sections.recommendation import recommendation_section
from fusewise.report.sections.requirements import requirements_section
from fusewise.report.sections.training import training_section
from fusewise.report.sections.trust import trust_section

SCHEMA = 1
_EXPECTED = {
    "profile": ("DeploymentProfile", ("availability", "patterns", "modalities")),
    "recommendation": ("Recommendation", ("strategy", "reasons", "stability")),
    "evaluation": ("Evaluation", ("by_pattern", "headline")),
    "comparison": ("Comparison", ("differences", "leaders", "curve")),
    "training": ("TrainingLog", ("losses", "contributions", "n_epochs")),
    "coverage": ("DataFrame", ("columns",)),
    "abstention": ("RiskCoverage", ("area", "curve", "loss")),
    "asking": ("DataFrame", ("columns",)),
}


@dataclass(frozen=True, repr=False)
class Report:
    """A report on results, rendered when it is asked for.

    Built by :func:`report`; any of the results may be None, and the sections that need it are then
    left out. Nothing is computed here: every figure stands in one of the results.

    Attributes
    ----------
    html : str
        One self-contained page: style and drawings inside, no scripts, opens without a network.
    markdown : str
        The same in GitHub's dialect of Markdown: tables instead of drawings.
    """

    profile: Any = None
    recommendation: Any = None
    evaluation: Any = None
    findings: tuple[Any, ...] | None = None
    comparison: Any = None
    training: Any = None
    coverage: Any = None
    abstention: Any = None
    asking: Any = None
    title: str = "Deployment report"
    provenance: Mapping[str, Any] | None = None

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections, the answer first."""
        names = patterns_of(self.profile, self.evaluation)
        given = self.provenance or {}
        made = (
            recommendation_section(self.recommendation, self.evaluation),
            plain_section(self.profile, self.recommendation),
            requirements_section(self.evaluation, names, given.get("next step")),
            headline_section(self.evaluation, names),
            availability_section(self.profile, self.recommendation, names),
            dimensions_section(self.profile),
            evidence_section(self.profile),
            compute_section(self.profile),
            patterns_section(self.evaluation, names),
            comparison_section(self.comparison, names),
            degradation_section(self.evaluation, names),
            calibration_section(self.evaluation, names),
            trust_section(self.coverage, self.abstention, self.asking, names),
            groups_section(self.evaluation),
            training_section(self.training),
            findings_section(self.findings),
            making_section(self.profile, self.evaluation, self.provenance),
        )
        return tuple(section for section in made if section is not None)

    @cached_property
    def html(self) -> str:
        """The report as one page that needs nothing else."""
        return render_html(self.title, self._facts(), self.sections, __version__)

    @cached_property
    def markdown(self) -> str:
        """The report as Markdown."""
        return render_markdown(self.title, self._facts(), self.sections)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain, JSON-ready values.

        Tables are lists of rows; numbers that do not exist (NaN, infinities) are None. To get a
        result object back, keep its own ``to_json`` beside the report: that one is lossless.
        """
        return {
            "schema": SCHEMA,
            "fusewise": __version__,
            "title": self.title,
            "profile": plain_data(self.profile),
            "recommendation": plain_data(self.recommendation),
            "evaluation": plain_data(self.evaluation),
            "findings": plain_data(self.findings),
            "comparison": plain_data(self.comparison),
            "training": plain_data(self.training),
            "coverage": plain_data(self.coverage),
            "abstention": plain_data(self.abstention),
            "asking": plain_data(self.asking),
            "provenance": plain_data(self.provenance),
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report; the suffix decides: ``.html``, ``.md`` or ``.json``.

        The file is written under a temporary name and renamed, so that a reader never sees half of
        it and an interrupted write leaves the old one in place.

        Parameters
        ----------
        path : str or path
            Its folder must exist.

        Returns
        -------
        Path
            Where it was written.

        Raises
        ------
        RunFolderError
            Unknown suffix, or the file cannot be written.
        """
        target = Path(path)
        writers: dict[str, Callable[[], str]] = {
            ".html": lambda: self.html,
            ".md": lambda: self.markdown,
            ".json": lambda: (
                json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            ),
        }
        writer = writers.get(target.suffix.lower())
        if writer is None:
            raise RunFolderError(
                f"report.save: the suffix decides the format; expected one of {', '.join(writers)}, "
                f"got {target.suffix or 'none'!r} in '{target}'. Rename it, e.g. "
                f"'{target.with_suffix('.html').name if target.name else 'report.html'}'."
            )
        content = writer()
        try:
            write_atomically(target, content.encode())
        except OSError as error:
            raise RunFolderError(
                f"report.save: '{target}' cannot be written ({error.strerror or error}). Create the "
                f"folder '{target.parent}' or choose one that you may write to."
            ) from error
        return target

    def __repr__(self) -> str:
        held = ", ".join(section.anchor for section in self.sections)
        return f"Report({self.title!r}: {held}; .save() writes .html, .md or .json)"

    def _repr_html_(self) -> str:
        # In a frame of its own, the style sheet does not touch the notebook around it.
        return (
            '<iframe style="width:100%;height:720px;border:1px solid #8884;border-radius:8px" '
            f'sandbox="allow-same-origin" srcdoc="{escape(self.html)}"></iframe>'
        )

    def _facts(self) -> tuple[str, ...]:
        facts = []
        profile, evaluation = self.profile, self.evaluation
        if profile is not None:
            if known(getattr(profile, "n_samples", None)):
                facts.append(plural(profile.n_samples, "sample") + " profiled")
            facts.append(plural(len(profile.modalities), "modality", "modalities"))
        if known(getattr(evaluation, "n", None)):
            facts.append(plural(evaluation.n, "test sample"))
        task = getattr(profile, "task", None) or getattr(evaluation, "task", None)
        if task:
            facts.append(f"{task} target" if task != "regression" else "numeric target")
        return tuple(facts)


def report(
    profile: Any = None,
    recommendation: Any = None,
    evaluation: Any = None,
    findings: Iterable[Any] | None = None,
    *,
    comparison: Any = None,
    training: Any = None,
    coverage: Any = None,
    abstention: Any = None,
    asking: Any = None,
    title: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Report:
    """Make a report on results that were computed elsewhere.

    Parameters
    ----------
    profile : DeploymentProfile, optional
        What :func:`fusewise.profile` returned.
    recommendation : Recommendation, optional
        What :func:`fusewise.recommend` returned.
    evaluation : Evaluation, optional
        What :func:`fusewise.evaluate` returned.
    findings : iterable of findings, optional
        Objects with ``code``, ``title``, ``severity`` and ``detail``. An empty one says that an
        audit was made and found nothing; None leaves the section out.
    comparison : Comparison, optional
        What :func:`fusewise.compare` returned.
    training : TrainingLog, optional
        How a learned strategy was trained: what ``fusewise.study.TrainingLog.of(model)`` returns.
    coverage : DataFrame, optional
        What :func:`fusewise.coverage_by_pattern` returned.
    abstention : RiskCoverage, optional
        What :func:`fusewise.risk_coverage` returned.
    asking : DataFrame, optional
        What :func:`fusewise.value_of_asking` returned.
    title : str, optional
        The heading of the page.
    provenance : dict, optional
        How it was made: versions, seeds, settings, fingerprints. Nested dicts become sub-tables. A
        ``"next step"`` is shown beside the requirements too.

    Returns
    -------
    Report
        With ``.html``, ``.markdown``, ``.to_dict()`` and ``.save(path)``.

    Raises
    ------
    ReportError
        Nothing was given, or an object that is not what its parameter asks for.

    Examples
    --------
    >>> page = report(provenance={"seed": 0}, title="Nothing but a seed")
    >>> page
    Report('Nothing but a seed': making; .save() writes .html, .md or .json)
    >>> print(page.markdown.splitlines()[0])
    # Nothing but a seed
    """
    given = {
        "profile": profile,
        "recommendation": recommendation,
        "evaluation": evaluation,
        "comparison": comparison,
        "training": training,
        "coverage": coverage,
        "abstention": abstention,
        "asking": asking,
    }
    for name, value in given.items():
        _check(name, value)
    found = None if findings is None else tuple(findings)
    if all(value is None for value in (*given.values(), found, provenance)):
        raise ReportError(
            "report: nothing to report; give at least one of profile, recommendation, evaluation, "
            "findings, comparison, training or provenance."
        )
    for finding in found or ():
        if not all(hasattr(finding, name) for name in ("code", "title", "severity")):
            raise ReportError(
                "report: findings must be objects with code, title and severity, got "
                f"{type(finding).__name__}."
            )
    return Report(
        profile,
        recommendation,
        evaluation,
        found,
        comparison,
        training,
        coverage,
        abstention,
        asking,
        title or "Deployment report",
        provenance,
    )


def _check(name: str, value: Any) -> None:
    kind, attributes = _EXPECTED[name]
    if value is None or all(hasattr(value, a) for a in attributes):
        return
    fits = [
        other for other, (_, needed) in _EXPECTED.items() if all(hasattr(value, a) for a in needed)
    ]
    hint = f" It looks like {fits[0]}=." if fits else ""
    raise ReportError(
        f"report: {name} must be a {kind} (what {_origin(name)} returns), got "
        f"{type(value).__name__}.{hint}"
    )


def _origin(name: str) -> str:
    return {
        "profile": "fusewise.profile",
        "recommendation": "fusewise.recommend",
        "evaluation": "fusewise.evaluate",
        "comparison": "fusewise.compare",
        "training": "fusewise.study.TrainingLog.of",
        "coverage": "fusewise.coverage_by_pattern",
        "abstention": "fusewise.risk_coverage",
        "asking": "fusewise.value_of_asking",
    }[name]
