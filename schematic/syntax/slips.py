"""Why a statement could not be read, in a user's words: one rule for each slip, tried in order."""

from __future__ import annotations

from collections.abc import Callable

from schematic.core.diagnostics import error
from schematic.syntax import slips_signs as signs
from schematic.syntax import slips_statements as statements
from schematic.syntax import slips_words as words
from schematic.syntax.failure import Failure, Verdict
from schematic.syntax.mend import shown
from schematic.syntax.tokens import END, NOT_A_TOKEN, short


def explain(failure: Failure) -> Verdict:
    """The first rule that knows the slip; the last one knows all."""
    return next(verdict for rule in _RULES if (verdict := rule(failure)))


def _not_a_token(at: Failure) -> Verdict | None:
    if at.token.type != NOT_A_TOKEN:
        return None
    help = "a string is written in double quotes" if at.token.text in "'`" else ""
    return Verdict(error("SG022", at.token.span, f"{shown(at.token.text)} is not part of the language", help))


_WORDS = {
    "NAME": "a name", "INT": "a whole number", "FLOAT": "a number", "STRING": 'a string, `"..."`', "ARROW": "an arrow",
    "COLON": "`:`", "EQUAL": "`=`", "COMMA": "`,`", "LPAR": "`(`", "RPAR": "`)`", "LBRACE": "`{`", "RBRACE": "`}`",
    "LSQB": "`[`", "RSQB": "`]`", "RANGE": "`..`", "PLUS": "`+`", "TILDE": "`~`",
}  # fmt: skip


def _anything(at: Failure) -> Verdict:
    found = "the text ends too early" if at.token.type == END else f"`{short(at.token.text)}` is not expected here"
    wanted = [_WORDS[t] for t in sorted(at.expected) if t in _WORDS and not (t == "INT" and "FLOAT" in at.expected)]
    help = f"expected {' or '.join(wanted)}" if 0 < len(wanted) <= 4 else ""
    return Verdict(error("SG021", at.token.span, found, help))


_RULES: tuple[Callable[[Failure], Verdict | None], ...] = (
    signs.unclosed_block, signs.unclosed_train, signs.named_with_equal, signs.double_equal, words.nothing_follows,
    words.nothing_after_comma, words.reserved_name, words.misplaced_word, signs.unclosed, signs.unopened,
    statements.conditional, statements.two_arrows, signs.dots, signs.comma_missing, signs.comma_missing_before,
    statements.colon_missing, signs.bare_mark, words.word_without_value, statements.second_equal, signs.equal_missing,
    statements.algebra, statements.misplaced, _not_a_token, _anything,
)  # fmt: skip
