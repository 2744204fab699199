"""Whole statements: factors written in other ways, expressions, statements in the wrong place."""

from __future__ import annotations

from schematic.core.diagnostics import error
from schematic.core.names import did_you_mean
from schematic.syntax.failure import (
    OPTION_WORDS,
    Failure,
    Verdict,
    begins_line,
    between,
    line_from,
    opens,
    spaced,
)
from schematic.syntax.tokens import END, Token, short

# --- factors --------------------------------------------------------------------------------------------------


def conditional(at: Failure) -> Verdict | None:
    """`p_theta(x | z, y)`."""
    if at.token.type != "LPAR" or at.level != "block" or at.types != ("NAME",):
        return None
    name, stop = at.read[0], at.place
    while at.tokens[stop].type not in ("RPAR", END, "LBRACE", "RBRACE"):
        stop += 1
    inside = at.tokens[at.place + 1 : stop]
    bar = next((i for i, t in enumerate(inside) if t.text == "|"), len(inside))
    target, parents = _listed(inside[:bar]), _listed(inside[bar + 1 :])
    help = f"`{name.text} : {f'{parents} ' if parents else ''}-> {target}`" if target else ""
    last = at.tokens[stop] if at.tokens[stop].type == "RPAR" else at.token
    return Verdict(error("SG014", name.span.to(last.span), "a factor is written with an arrow", help))


def _listed(tokens: tuple[Token, ...]) -> str:
    return ", ".join(t.text for t in tokens if t.type == "NAME")


def two_arrows(at: Failure) -> Verdict | None:
    if at.token.type != "ARROW" or "ARROW" not in at.types or "COLON" not in at.types:
        return None
    name = at.read[0].text
    first = "".join(spaced(at.read[at.types.index("COLON") + 1 :]))
    middle = next((t.text for t in reversed(at.read) if t.type == "NAME"), "h")
    target = at.tokens[at.place + 1].text if at.ahead(1) == "NAME" else "x"
    help = f"`{name}.1 : {first}`, `{name}.2 : {middle} {at.token.text} {target}`"
    return Verdict(error("SG016", at.token.span, "one arrow a statement", help))


def colon_missing(at: Failure) -> Verdict | None:
    if at.level != "block" or at.types not in (("NAME",), ("NAME", "DOT", "NAME"), ("NAME", "DOT", "INT")):
        return None
    name = "".join(t.text for t in at.read)
    rest = line_from(at.tokens, at.place)
    is_factor = name.startswith(("p_", "q_"))
    if at.token.type in ("ARROW", "COMMA") and not is_factor:
        whole = line_from(at.tokens, at.begin)
        return Verdict(error("SG015", at.read[0].span, "a factor begins with its name", f"`p_theta : {whole}`"))
    if at.token.type not in ("NAME", "ARROW"):
        return None
    thing = "factor" if is_factor else "variable"
    problem = error("SG015", at.token.span, f"`:` is missing after the {thing}'s name", f"`{name} : {rest}`")
    return Verdict(problem, feed=(Token("COLON", ":", at.token.span),))


def second_equal(at: Failure) -> Verdict | None:
    if at.token.type != "EQUAL" or at.open_brackets or "ARROW" not in at.types:
        return None
    if OPTION_WORDS & set(at.types):
        return Verdict(error("SG019", at.token.span, "the network comes before the options"))
    return Verdict(error("SG028", at.token.span, "one network a factor"))


# --- the algebra and the level ------------------------------------------------------------------------------


def algebra(at: Failure) -> Verdict | None:
    if at.level not in ("file", "expression") or at.before is None:
        return None
    if "STAR" in at.expected and at.before.type in ("INT", "FLOAT"):
        help = f"`{at.before.text} * {at.token.text}`"
        problem = error("SG036", between(at.before, at.token), "`*` is missing", help)
        return Verdict(problem, feed=(Token("STAR", "*", at.token.span),))
    if at.token.type not in ("STAR", "MINUS"):
        return None
    if at.token.type == "MINUS":
        return Verdict(error("SG036", at.token.span, "models are added, not subtracted", "`without` removes a factor"))
    number = at.tokens[at.place + 1]
    model = at.before
    help = f"`{number.text} * {model.text}`" if number.type in ("INT", "FLOAT") and model.type == "NAME" else ""
    place = model.span.to(number.span) if help else at.token.span
    return Verdict(error("SG304", place, "the number comes first", help))


def misplaced(at: Failure) -> Verdict | None:
    if at.level == "file":
        if (at.place == at.begin or at.complete) and at.token.type == "NAME":
            if opens(at.tokens, at.place, "block"):
                words = "variables, factors and their networks stand in a model"
                return Verdict(error("SG029", at.token.span, words, "`model M { ... }`"))
            near = did_you_mean(at.token.text, ("model", "net", "train", "use"))
            word = short(at.token.text)
            words = f"`{word}` does not begin a statement; a file holds `use`, `net`, `model` and `train`"
            return Verdict(error("SG030", at.token.span, words, near))
        return None
    if at.token.type in ("MODEL", "USE") and (at.place == at.begin or at.complete):
        words = f"`{at.token.text}` stands in a file, not in a {'training block' if at.level == 'train' else 'model'}"
        return Verdict(error("SG029", at.token.span, words), resume=_past(at))
    if at.level == "block" and at.types == ("NAME",) and at.token.type in ("LBRACE", "STRING"):
        near = did_you_mean(at.read[0].text, ("net", "train", "model", "use"))
        return Verdict(error("SG030", at.read[0].span, f"`{short(at.read[0].text)}` does not begin a statement", near))
    return None


def _past(at: Failure) -> int:
    """Past a statement that does not stand here, with its block if it has one."""
    place = at.place + 1
    depth = 0
    while at.tokens[place].type != END:
        kind = at.tokens[place].type
        if depth == 0 and (kind == "RBRACE" or (begins_line(at.tokens, place) and opens(at.tokens, place, at.level))):
            break
        depth += (kind == "LBRACE") - (kind == "RBRACE")
        place += 1
    return place
