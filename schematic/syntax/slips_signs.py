"""Brackets, one sign written for another, signs that are missing."""

from __future__ import annotations

from schematic.core.diagnostics import error
from schematic.syntax import ast
from schematic.syntax.failure import (
    OPTION_WORDS,
    VALUES,
    Failure,
    Verdict,
    begins_line,
    between,
    line_from,
    opens,
    spaced,
)
from schematic.syntax.mend import ARROW_HELP
from schematic.syntax.tokens import END, OPENERS, Token

# --- brackets ---------------------------------------------------------------------------------------------


def unclosed_block(at: Failure) -> Verdict | None:
    if at.brace is None or "RBRACE" not in at.expected or at.token.type not in (END, "MODEL", "USE"):
        return None
    if at.token.type != END and _balanced(at):
        return None
    last = at.tokens[at.place - 1].span.line
    problem = error("SG008", at.brace.span, "this block is never closed", f"add `}}` after line {last}")
    return Verdict(problem, feed=(Token("RBRACE", "}", at.token.span),))


def _balanced(at: Failure) -> bool:
    kinds = [t.type for t in at.tokens]
    return kinds.count("LBRACE") == kinds.count("RBRACE")


def unclosed_train(at: Failure) -> Verdict | None:
    """A statement of the model where a setting should stand."""
    if at.level != "train" or at.brace is None or at.token.type not in ("COLON", "NET", "TRAIN"):
        return None
    begin = at.begin if at.token.type == "COLON" else at.place
    if not begins_line(at.tokens, begin):
        return None
    help = f"add `}}` after line {at.tokens[begin - 1].span.line}"
    return Verdict(error("SG008", at.brace.span, "this block is never closed", help), resume=begin, closes=True)


def unopened(at: Failure) -> Verdict | None:
    sign = at.token.text
    if at.token.type in ("RPAR", "RSQB") and not at.open_brackets and at.place > at.begin:
        return Verdict(error("SG026", at.token.span, f"nothing opens this `{sign}`", "delete it"), skips=True)
    if at.token.type == "RBRACE" and at.brace is None:
        return Verdict(error("SG026", at.token.span, "nothing opens this `}`", "delete it"), resume=at.place + 1)
    return None


def unclosed(at: Failure) -> Verdict | None:
    """`(` or `[` is open, and a token follows that never stands inside."""
    if not at.open_brackets:
        return None
    new_line = begins_line(at.tokens, at.place) and opens(at.tokens, at.place, at.level)
    named = at.token.type in ("COLON", "EQUAL", "DOT") and begins_line(at.tokens, at.place - 1)
    ends = OPENERS | OPTION_WORDS | {"ARROW", "TILDE", "EQUAL", "LBRACE", "RBRACE", "GIVEN", "PARTIAL", END}
    closing = "RPAR" if at.open_brackets[-1].type == "LPAR" else "RSQB"
    if not (new_line or named or (at.token.type in ends and closing in at.expected) or at.token.type == END):
        return None
    opening = at.open_brackets[-1]
    sign = ")" if closing == "RPAR" else "]"
    problem = error("SG027", opening.span, f"this `{opening.text}` is never closed", f"add `{sign}`")
    if named:
        return Verdict(problem, resume=at.place - 1)
    if closing in at.expected:
        return Verdict(problem, feed=(Token(closing, sign, at.token.span),))
    return Verdict(problem)


# --- one sign for another -----------------------------------------------------------------------------------


def named_with_equal(at: Failure) -> Verdict | None:
    if at.token.type != "EQUAL" or not at.open_brackets or at.open_brackets[-1].type != "LPAR" or len(at.read) < 2:
        return None
    name, lead = at.read[-1], at.read[-2]
    if name.type != "NAME" or lead.type not in ("LPAR", "COMMA") or "COLON" not in at.expected:
        return None
    value = at.tokens[at.place + 1]
    help = f"`{name.text}: {value.text}`" if value.type in VALUES else f"`{name.text}:`"
    problem = error("SG018", at.token.span, "a named option is written with `:`", help)
    return Verdict(problem, feed=(Token("COLON", ":", at.token.span),), resume=at.place + 1)


def double_equal(at: Failure) -> Verdict | None:
    if at.token.type != "==":
        return None
    if "ARROW" not in at.expected or at.tokens[at.place + 1].text == "data":
        problem = error("SG020", at.token.span, "one `=` here")
        return Verdict(problem, feed=(Token("EQUAL", "=", at.token.span),), resume=at.place + 1)
    problem = error("SG017", at.token.span, "there is no such arrow as `==`", ARROW_HELP)
    return Verdict(problem, feed=(Token("ARROW", "==>", at.token.span),), resume=at.place + 1)


def bare_mark(at: Failure) -> Verdict | None:
    """`-` or `~` or `=` where an arrow should stand."""
    if at.token.type not in ("MINUS", "TILDE") or "ARROW" not in at.expected or at.open_brackets:
        return None
    sign = at.token.text
    problem = error("SG017", at.token.span, f"there is no such arrow as `{sign}`", ARROW_HELP)
    return Verdict(problem, feed=(Token("ARROW", f"{sign}>", at.token.span),), resume=at.place + 1)


# --- signs that are missing ---------------------------------------------------------------------------------


def comma_missing(at: Failure) -> Verdict | None:
    """Between two parents, two arguments, two groups."""
    if at.before is None or "COMMA" not in at.expected or begins_line(at.tokens, at.place):
        return None
    if at.level == "train" and not at.open_brackets and at.ahead(1) not in ("COMMA", "EQUAL"):
        return None
    in_call = bool(at.open_brackets) and at.open_brackets[-1].type == "LPAR"
    if in_call and at.token.type in VALUES:
        if "COLON" in at.expected and at.before.type == "NAME" and at.token.type in ("INT", "FLOAT"):
            help = f"`{at.before.text}: {at.token.text}`, or `{at.before.text}, {at.token.text}`"
        else:
            help = f"`{at.before.text}, {at.token.text}`"
        problem = error("SG012", between(at.before, at.token), "arguments are separated by commas", help)
    elif not in_call and at.token.type == "NAME":
        words = "parents are separated by commas" if "ARROW" in at.expected else "names are separated by commas"
        problem = error("SG012", between(at.before, at.token), words, f"`{at.before.text}, {at.token.text}`")
    else:
        return None
    return Verdict(problem, feed=(Token("COMMA", ",", at.token.span),))


def comma_missing_before(at: Failure) -> Verdict | None:
    """`p_theta : z y ==> x` was read as a variable of type z, and y as the next statement."""
    match at.previous:
        case ast.VariableDecl(type=ast.Call(parens=False) as bare, data=None, prior=None, partial=None):
            if not at.read or at.read[0].type != "NAME" or begins_line(at.tokens, at.begin):
                return None
            first, second = at.tokens[at.begin - 1], at.tokens[at.begin]
            help = f"`{bare.name.text}, {second.text}`"
            problem = error("SG012", between(first, second), "parents are separated by commas", help)
            return Verdict(problem, retracts=True)
    return None


def equal_missing(at: Failure) -> Verdict | None:
    if "EQUAL" not in at.expected or "ARROW" in at.expected or at.open_brackets:
        return None
    head = at.level == "train" or at.tokens[at.begin].type == "NET"
    if not head or at.token.type not in VALUES | {"COLON"} or at.ahead(1) in ("COMMA", "EQUAL"):
        return None
    if at.token.type == "COLON":
        problem = error("SG037", at.token.span, "a setting is written with `=`", f"`{spaced(at.read)} = ...`")
        return Verdict(problem, feed=(Token("EQUAL", "=", at.token.span),), resume=at.place + 1)
    help = f"`{spaced(at.read)} = {line_from(at.tokens, at.place)}`"
    problem = error("SG037", between(at.tokens[at.place - 1], at.token), "`=` is missing", help)
    return Verdict(problem, feed=(Token("EQUAL", "=", at.token.span),))


def dots(at: Failure) -> Verdict | None:
    """`p_theta.1.5`, `z.rest.x`."""
    if at.types[-1:] == ("DOT",) and at.token.type in ("FLOAT", "STRING", "INT"):
        return Verdict(error("SG024", at.token.span, "a suffix is one name or one whole number", "`p_theta.1`"))
    if at.token.type == "DOT" and at.types[-2:-1] == ("DOT",):
        return Verdict(error("SG024", at.token.span, "a name has one dot at most"))
    return None
