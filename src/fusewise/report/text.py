"""Sentences with linked words and inserted values, as HTML and as Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from fusewise.report.glossary import TERMS

# [[term]], [[shown|term]], {value}, ** (bold on and off)
_TOKEN = re.compile(r"\[\[(?P<term>[^\]]+)\]\]|\{(?P<value>\w+)\}|(?P<bold>\*\*)")
# An interval and an underscore inside a word mean nothing to Markdown, and read better bare.
_MARKDOWN = re.compile(
    r"(?P<bare>\[[\d.,%\N{MINUS SIGN} ]+\](?!\()|(?<=\w)_(?=\w))|(?P<mark>[\\`*_\[\]<>|#~])"
)
# Names joined by these may break after them; in very long texts only where names are joined.
_BREAKS, _JOINTS = re.compile(r"([+_/-])"), re.compile(r"(\+)")


def slug(name: str) -> str:
    """Return the anchor of a glossary word.

    Examples
    --------
    >>> slug("availability pattern")
    'term-availability-pattern'
    """
    return "term-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def escape_markdown(text: object) -> str:
    r"""Return `text` so that Markdown shows it as it is.

    Examples
    --------
    >>> print(escape_markdown("a|b <script> blood_gas [0.1, 0.2]"))
    a\|b \<script\> blood_gas [0.1, 0.2]
    """
    line = " ".join(str(text).split())
    return _MARKDOWN.sub(lambda m: m["bare"] or f"\\{m['mark']}", line)


def breakable(text: object) -> Markup:
    """Return escaped HTML that may break after joining characters, so that long names wrap."""
    breaks = _BREAKS if len(str(text)) <= 120 else _JOINTS
    # Escaping leaves these characters alone.
    return Markup(breaks.sub(r"\1<wbr>", str(escape(str(text)))))


@dataclass(frozen=True)
class Text:
    """A sentence written by us, with values that may come from anywhere.

    Parameters
    ----------
    template : str
        ``{name}`` inserts a value, ``[[word]]`` or ``[[words shown|word]]`` links a word of the
        glossary, ``**`` switches bold on and off. Only the template is read for these marks:
        inserted values are escaped.
    values : dict
        The values to insert.

    Examples
    --------
    >>> from fusewise.report.text import say
    >>> say("**{who}** is an [[absent modality]].", who="<b>").html
    Markup('<b>&lt;b&gt;</b> is an <a class="term" href="#term-absent-modality" ...')
    """

    template: str
    values: dict[str, Any]

    @property
    def terms(self) -> tuple[str, ...]:
        """The words of the glossary that the sentence uses."""
        found = (m["term"] for m in _TOKEN.finditer(self.template) if m["term"])
        return tuple(term.split("|")[-1] for term in found)

    @property
    def html(self) -> Markup:
        """The sentence as HTML."""
        out, bold = Markup(""), False
        for kind, piece in self._pieces():
            if kind == "bold":
                bold = not bold
                out += Markup("<b>" if bold else "</b>")
            elif kind == "term":
                shown, _, term = piece.rpartition("|")
                out += Markup('<a class="term" href="#{}" title="{}">{}</a>').format(
                    slug(term), TERMS[term], shown or term
                )
            else:
                out += escape(piece)
        return out

    @property
    def markdown(self) -> str:
        """The sentence as Markdown, without links."""
        out = ""
        for kind, piece in self._pieces():
            if kind == "bold":
                out += "**"
            elif kind == "term":
                out += piece.split("|", maxsplit=1)[0]
            else:
                out += escape_markdown(piece) if kind == "value" else piece
        return out

    @property
    def plain(self) -> str:
        """The sentence without any marks."""
        return "".join(
            piece.split("|")[0] if kind == "term" else piece
            for kind, piece in self._pieces()
            if kind != "bold"
        )

    def _pieces(self) -> list[tuple[str, str]]:
        pieces: list[tuple[str, str]] = []
        at = 0
        for match in _TOKEN.finditer(self.template):
            if match.start() > at:
                pieces.append(("text", self.template[at : match.start()]))
            if match["value"]:
                pieces.append(("value", str(self.values[match["value"]])))
            elif match["term"]:
                pieces.append(("term", match["term"]))
            else:
                pieces.append(("bold", ""))
            at = match.end()
        if at < len(self.template):
            pieces.append(("text", self.template[at:]))
        return pieces


def say(template: str, **values: Any) -> Text:
    """Return a :class:`Text`: our own words with values put in."""
    return Text(template, values)


def quote(value: object) -> Text:
    """Return a :class:`Text` that is only a value from elsewhere."""
    return Text("{value}", {"value": value})
