"""Signs and words after which nothing stands, and words that cannot stand where they do."""

from __future__ import annotations

from schematic.core.diagnostics import error
from schematic.core.names import RESERVED
from schematic.syntax.failure import (
    OPTION_WORDS,
    VALUES,
    Failure,
    Verdict,
    begins_line,
    opens,
)
from schematic.syntax.tokens import END, NOT_A_TOKEN, OPENERS, Token

# --- nothing follows ----------------------------------------------------------------------------------------

_AFTER_EQUAL = {
    "factor": ("a network should follow `=`", "delete `=` to have the default net"),
    "variable": ("`data` should follow `=`", '`= data("image")`, or delete `=`'),
    "model": ("a model should follow `=`", "`= swap(InfoGAN, x, z)`"),
    "net": ("a network should follow `=`", "`= mlp(400, 400)`"),
    "setting": ("a value should follow `=`", "`adam(1e-3)`, `64`"),
    "how": ("a network should follow `=`", "`= mlp(400, 400)`"),
}
_AFTER = {
    "ARROW": ("a variable should follow the arrow", "`-> x`"),
    "COLON": ("a type, or a factor's parents and arrow, should follow `:`", "`x : real(3)`, `p_theta : z -> x`"),
    "TILDE": ("a prior should follow `~`", "`~ Normal(0, 1)`"),
    "PLUS": ("a model should follow `+`", "`VAE + 0.1 * GAN`"),
    "STAR": ("a model should follow `*`", "`0.1 * GAN`"),
}


def nothing_follows(at: Failure) -> Verdict | None:
    """Told at the sign after which nothing stands, also where the next statement's name was taken for it."""
    back = _taken_name(at)
    place = at.place - back
    if place <= at.begin or at.open_brackets or (not back and at.token.type in VALUES | {"LPAR", NOT_A_TOKEN}):
        return None
    sign = at.tokens[place - 1]
    resume = place if back else None
    if sign.type == "EQUAL":
        when = at.tokens[place - 3] if place > at.begin + 3 and at.tokens[place - 3].type == "WHEN" else None
        if when and back and not begins_line(at.tokens, place):
            return None
        words, help = _NEEDS["WHEN"] if when else _AFTER_EQUAL[_kind(at)]
        problem = error("SG034", when.span, words, help) if when else error("SG011", sign.span, words, help)
        return Verdict(problem, resume=resume)
    if sign.type not in _AFTER or (not back and at.token.text in RESERVED and at.token.type not in OPENERS):
        return None
    words, help = _AFTER[sign.type]
    return Verdict(error("SG038", sign.span, words, help), resume=resume)


def nothing_after_comma(at: Failure) -> Verdict | None:
    back = 0 if at.open_brackets else _taken_name(at)
    comma = at.tokens[at.place - back - 1] if at.place - back > at.begin else None
    ends = OPENERS | {"ARROW", "EQUAL", "COMMA", "RPAR", "RBRACE", "TILDE", END}
    if comma is None or comma.type != "COMMA" or not (back or at.token.type in ends):
        return None
    problem = error("SG013", comma.span, "nothing follows this comma", "delete it")
    return Verdict(problem, resume=at.place - back) if back else Verdict(problem)


def _taken_name(at: Failure) -> int:
    """How many tokens ago a name was read that is the next statement's, `p_theta :`, `p_theta.t :`; 0 if none was."""
    back = 1
    if at.token.type in ("COLON", "EQUAL"):
        if at.types[-2:-1] == ("DOT",):
            back = 3
        elif at.types[-1:] == ("RSQB",) and "LSQB" in at.types:
            back = at.types[::-1].index("LSQB") + 2
    elif at.token.type not in ("DOT", "LSQB") or not begins_line(at.tokens, at.place - 1):
        return 0
    name = at.place - back
    is_next = name > at.begin and at.tokens[name].type == "NAME" and opens(at.tokens, name, "block")
    return back if is_next else 0


def _kind(at: Failure) -> str:
    first = at.tokens[at.begin].type
    if first in ("MODEL", "NET"):
        return first.lower()
    if at.level == "train":
        return "setting"
    if "ARROW" in at.types:
        return "factor"
    return "variable" if "COLON" in at.types else "how"


_NEEDS = {
    "TEMPERATURE": ("a number follows `temperature`", "`temperature 1.5`"),
    "WEIGHT": ("a number follows `weight`", "`weight 0.1`"),
    "BETA": ("a number follows `beta`", "`beta 4`"),
    "GRADIENT": ("an estimator follows `gradient`", "`enumerate`, `reinforce`, `gumbel(0.5)`, `straight_through`"),
    "DIVERGENCE": ("a divergence follows `divergence`", "`nonsaturating`, `minimax`, `least_squares`, `hinge`, "
                   "`wasserstein(penalty: 10)`, `kl`"),
    "WHEN": ("a domain follows `when`", "`when y = real`"),
    "WITHOUT": ("the name of a factor or a variable follows `without`", "`without q_eta`"),
    "GIVEN": ("the domain indicator follows `given`", "`given y`"),
    "THEN": ("a network follows `then`", "`D then mlp(128)`"),
    "IN": ("the groups that train the net follow `in`", "`net F in theta = mlp(400)`"),
    "AS": ("a name follows `as`", '`use "infogan.sg" as lib`'),
    "MODEL": ("a name follows `model`", "`model M { ... }`"),
    "NET": ("a name follows `net`", "`net F = mlp(400)`"),
    "TRAIN": ("`{` follows `train`", "`train { batch = 64 }`"),
}  # fmt: skip


def word_without_value(at: Failure) -> Verdict | None:
    back = _taken_name(at)
    place = at.place - back
    if place <= at.begin or (not back and at.token.type in ("COLON", "ARROW", NOT_A_TOKEN)):
        return None
    word = at.tokens[place - 1]
    if at.types[-2:] == ("WHEN", "NAME") and "EQUAL" in at.expected:
        word = at.read[-2]
    if word.type == "USE":
        path = at.token.text if at.token.type == "NAME" else "infogan"
        there = at.token.span if at.token.type == "NAME" else word.span
        words = "the path of a file follows `use`, in double quotes"
        return Verdict(error("SG034", there, words, f'`use "{path}.sg"`'))
    if word.type not in _NEEDS:
        return None
    words, help = _NEEDS[word.type]
    return Verdict(error("SG034", word.span, words, help), resume=place if back else None)


_STANDS = {
    "GIVEN": 'follows `data("A", "B")`', "PARTIAL": "follows a variable's data or prior",
    "WITHOUT": "follows a model", "THEN": "follows a network", "AS": 'follows `use "file.sg"`',
    "IN": "follows the name of a net",
    **dict.fromkeys(OPTION_WORDS, "is an option of a factor: it follows the target or the network"),
}  # fmt: skip


def misplaced_word(at: Failure) -> Verdict | None:
    if at.token.type not in _STANDS or at.ahead(1) in ("COLON", "ARROW", "LSQB") or at.open_brackets:
        return None
    if "NAME" in at.expected and not at.complete and at.place > at.begin:
        return None
    return Verdict(error("SG029", at.token.span, f"`{at.token.text}` {_STANDS[at.token.type]}"))


# --- names ---------------------------------------------------------------------------------------------------


_AFTER_NAME = frozenset({"COLON", "ARROW", "DOT", "LSQB", "COMMA"})


def reserved_name(at: Failure) -> Verdict | None:
    word = at.token
    if at.token.type in _AFTER_NAME and at.before and at.before.text in RESERVED:
        if at.token.type != "COLON" and len(at.read) > 1:
            return None
        word = at.before
    else:
        begins = at.place == at.begin or at.complete
        ends = {"RPAR", "EQUAL", "RBRACE", END} if word.type in OPENERS and not begins else frozenset()
        if word.text not in RESERVED or "NAME" not in at.expected:
            return None
        if (begins or word.type in OPENERS) and at.ahead(1) not in _AFTER_NAME | ends:
            return None
    words = f"`{word.text}` is a word of the language and cannot name {_named_thing(at, word)}"
    return Verdict(error("SG009", word.span, words, f"`{word.text[0]}`"))


def _named_thing(at: Failure, word: Token) -> str:
    first = at.tokens[at.begin]
    lead = at.read[-1].type if at.token is word and at.read else ""
    if lead == "DOT":
        return "a suffix"
    if first.type in ("MODEL", "NET") and lead == first.type:
        return f"a {lead.lower()}"
    if at.level == "train" or lead == "IN":
        return "a group"
    if at.level == "file":
        return "anything"
    return "a variable"
