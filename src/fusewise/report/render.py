"""From sections to a page of HTML or Markdown, by the templates beside this file."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fusewise.report.blocks import Section, texts
from fusewise.report.glossary import TERMS
from fusewise.report.text import breakable, escape_markdown, slug


@cache
def _environment(*, html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("fusewise.report", "templates"),
        autoescape=html,  # noqa: S701 - Markdown is escaped by its own filter
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    environment.filters["md"] = escape_markdown
    return environment


def render_html(
    title: str, facts: tuple[str, ...], sections: tuple[Section, ...], version: str
) -> str:
    """Return the page: one file with its style sheet and drawings inside."""
    page = _environment(html=True).get_template("page.html.j2")
    context: dict[str, Any] = {"title": title, "facts": facts, "sections": sections}
    return page.render(**context, words=_words(sections), version=version).strip() + "\n"


def render_markdown(title: str, facts: tuple[str, ...], sections: tuple[Section, ...]) -> str:
    """Return the report as Markdown in GitHub's dialect: tables, no drawings."""
    page = _environment(html=False).get_template("page.md.j2")
    text = page.render(title=title, facts=facts, sections=sections)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _words(sections: tuple[Section, ...]) -> list[tuple[str, str, str]]:
    used = {term for part in texts(sections) for term in part.terms}
    return [(word, slug(word), TERMS[word]) for word in TERMS if word in used]
