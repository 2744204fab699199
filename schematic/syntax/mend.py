"""Slips inside one word: what is wrong, and what was probably meant, so that parsing goes on."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from schematic.core.diagnostics import Diagnostic, error
from schematic.core.names import GREEK, RESERVED
from schematic.core.source import Source, Span
from schematic.syntax.tokens import NOT_A_TOKEN, short

ARROW_HELP = "`->` solid, `-->` dashed, `=>` and `==>` hollow, `~>` and `~~>` blue"


@dataclass(frozen=True)
class Mended:
    """What is wrong at a place, the texts of the tokens to go on with, and where lexing resumes."""

    problem: Diagnostic | None
    texts: tuple[str, ...]
    resume: int


def mend(source: Source, at: int) -> Mended:
    """Reads the word at `at`, which is not one of the language. Always resumes further on."""
    for pattern, read in _READERS:
        if match := pattern.match(source.text, at):
            return read(match, Span(source, at, match.end()))
    return _unknown(source.text[at], Span(source, at, at + 1))


def _semicolon(_: re.Match[str], span: Span) -> Mended:
    return Mended(
        error("SG001", span, "`;` is not part of the language", "delete it, a statement ends by itself"), (), span.end
    )


def _comment(match: re.Match[str], span: Span) -> Mended:
    opening = Span(span.source, span.start, span.start + 2)
    return Mended(error("SG002", opening, "a comment starts with `#`"), (), span.end)


def _quotes(match: re.Match[str], span: Span) -> Mended:
    inside = match.group(1).replace('"', "")
    opening = Span(span.source, span.start, span.start + 1)
    help = f'`"{inside}"`' if inside.isprintable() else ""
    return Mended(error("SG003", opening, "a string is written in double quotes", help), (f'"{inside}"',), span.end)


def _open_string(match: re.Match[str], span: Span) -> Mended:
    inside = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "", match.group(1))
    if span.source.text[span.end - 1] == '"' and span.end - span.start > 1:
        return Mended(error("SG022", span, "a string holds no control characters"), (f'"{inside}"',), span.end)
    opened = re.match(r"[^\s,(){}]*", inside)
    text = opened.group() if opened else ""
    help = f'`"{text}"`' if text.isprintable() and text else 'end it with `"`'
    shown = Span(span.source, span.start, span.start + 1 + len(text))
    return Mended(error("SG007", shown, "this string is not closed on its line", help), (f'"{text}"',), shown.end)


def _word(match: re.Match[str], span: Span) -> Mended:
    word = match.group()
    place = next((i for i, c in enumerate(word) if not (c.isascii() and c.isalnum()) and c != "_"), None)
    if place is None:
        name = word.lstrip("_")
        help = f"`{name}`" if re.match("[A-Za-z]", name) else ""
        return Mended(error("SG024", span, "a name begins with a letter", help), (name or "x",), span.end)
    letter = word[place]
    there = Span(span.source, span.start + place, span.start + place + 1)
    help = _spelled(letter) or "a name is made of A to Z, a to z, 0 to 9 and `_`"
    plain = "".join(_ascii(c) for c in word).strip("_")
    name = plain if re.match("[A-Za-z]", plain) else "x" + plain
    return Mended(error("SG004", there, f"{shown(letter)} cannot be in a name", help), (name,), span.end)


def _spelled(letter: str) -> str:
    greek = next((name for name, sign in GREEK.items() if sign == letter), None)
    return f"write `{greek}`, it prints as {letter}" if greek else ""


def _ascii(letter: str) -> str:
    if letter.isascii():
        return letter
    return next((name for name, sign in GREEK.items() if sign == letter), "")


_ARROWS = {
    "→": "->", "⟶": "->", "➔": "->", "➜": "->", "⇒": "=>", "⟹": "=>", "⇢": "-->", "⤏": "-->", "⇝": "~>", "↝": "~>",
    "⤳": "~>", "⟿": "~>", "←": "->", "⟵": "->", "⇐": "=>", "↔": "->", "⇔": "=>", "↦": "->",
}  # fmt: skip


def _drawn_arrow(match: re.Match[str], span: Span) -> Mended:
    sign = match.group()
    help = "`->` solid, `-->` dashed, `==>` dashed and hollow"
    return Mended(error("SG005", span, f"`{sign}` is not an arrow", help), (_ARROWS[sign],), span.end)


def _dash(match: re.Match[str], span: Span) -> Mended:
    sign = match.group()
    help = "`-`, and an arrow is `->` or `-->`"
    return Mended(error("SG022", span, f"{shown(sign)} is not part of the language", help), ("-",), span.end)


def _run(match: re.Match[str], span: Span) -> Mended:
    """A run of `- = ~ < >` that is no arrow."""
    run = match.group()
    if run == "=-":
        return Mended(None, ("=", "-"), span.end)
    if run == "==":
        return Mended(None, ("==",), span.end)
    if "<" in run:
        reason, text = "an arrow points to the right, at its target", "->"
    elif "~" in run and "=" in run:
        reason, text = "blue arrows are never hollow", "~>"
    elif len(set(run) - {">"}) == 1 and len(run) > 3:
        reason, text = "one mark is solid, two are dashed", run[0] * 2 + ">"
    else:
        reason, text = "", "->"
    help = "`~>`, `~~>`" if text == "~>" else ARROW_HELP
    words = f"there is no such arrow: {reason}" if reason else f"there is no such arrow as `{short(run)}`"
    return Mended(error("SG017", span, words, help), (text,), span.end)


def _number(match: re.Match[str], span: Span) -> Mended:
    """A number-like run that is no number: `.5`, `5.`, `1_000`, `1.5weight`, `1.5.2`, `1e`."""
    run = match.group()
    if re.fullmatch(r"\.[0-9]+([eE][+-]?[0-9]+)?", run):
        return _pointed(span, "0" + run)
    if re.fullmatch(r"[0-9]+\.([eE][+-]?[0-9]+)?", run):
        return _pointed(span, run.replace(".", ".0"))
    if re.fullmatch(r"[0-9]+(_[0-9]+)+", run):
        plain = run.replace("_", "")
        return Mended(error("SG024", span, "a number has no `_`", f"`{short(plain)}`"), (plain,), span.end)
    apart = re.match(r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)([A-Za-z][A-Za-z0-9_]*)$", run)
    if apart and not re.fullmatch("[eE]", apart[2]):
        words = f"`{short(run)}` is neither a number nor a name"
        name = f"{apart[2]}{apart[1]}"
        help = f"`{short(apart[1])} {short(apart[2])}`" + (f", or, as a name, `{name}`" if _short_name(name) else "")
        texts = (apart[1], apart[2]) if apart[2] in RESERVED else (apart[1],)
        return Mended(error("SG024", span, words, help), texts, span.end)
    help = "`12`, `0.5`, `2e-4` are numbers"
    if span.start and span.source.text[span.start - 1] == ".":
        return Mended(error("SG024", span, "a name has one suffix, a name or an integer", ""), ("1",), span.end)
    return Mended(error("SG024", span, f"`{short(run)}` is not a number", help), ("1",), span.end)


def _pointed(span: Span, number: str) -> Mended:
    return Mended(
        error("SG006", span, "a number has digits on both sides of its point", f"`{number}`"), (number,), span.end
    )


def _space(match: re.Match[str], span: Span) -> Mended:
    sign = match.group()[0]
    one = Span(span.source, span.start, span.start + 1)
    return Mended(error("SG022", one, f"{shown(sign)} is not a plain space", "write a space"), (), span.end)


def _unknown(sign: str, span: Span) -> Mended:
    return Mended(None, (NOT_A_TOKEN,), span.end)


def shown(sign: str) -> str:
    """A character for a message: itself, or its code and name where it cannot be seen."""
    if sign.isprintable() and not sign.isspace():
        return f"`{sign}`"
    name = unicodedata.name(sign, "").lower()
    return f"U+{ord(sign):04X} ({name})" if name else f"U+{ord(sign):04X}"


def _short_name(text: str) -> bool:
    return text.isalnum() and len(text) <= 40


_READERS = (
    (re.compile(";+"), _semicolon),
    (re.compile(r"//[^\r\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?"), _comment),
    (re.compile(r"""['‘’“”„«`]([^'‘’“”„»`"\r\n]*)['’”“»`"]"""), _quotes),
    (re.compile(r'"([^"\r\n]*)"?'), _open_string),
    (re.compile(r"\.?[0-9](?:[eE][+-][0-9]|\w|\.(?!\.))*"), _number),
    (re.compile(r"\w+"), _word),
    (re.compile("[" + "".join(_ARROWS) + "]"), _drawn_arrow),
    (re.compile("[‐‑‒–—−]"), _dash),
    (re.compile(r"[-=~<>]+"), _run),
    (re.compile(r"[^\S \t\r\n]+|[\u200b-\u200f\u2060\ufeff]+"), _space),
)
