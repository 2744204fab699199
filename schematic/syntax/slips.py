"""Why a statement could not be read, in a user's words: one rule for each slip, tried in order."""

from __future__ import annotations

from collections.abc import Callable

from schematic.core.diagnostics import error
from schematic.core.names import RESERVED, did_you_mean
from schematic.core.source import Span
from schematic.syntax import ast
from schematic.syntax.failure import Failure, Verdict, begins_line, between, line_from, opens
from schematic.syntax.mend import ARROW_HELP, shown
from schematic.syntax.tokens import END, NOT_A_TOKEN, OPENERS, Token, short

OPTION_WORDS = frozenset({"PERFECT", "FIXED", "TEMPERATURE", "WEIGHT", "BETA", "GRADIENT", "DIVERGENCE", "WHEN"})
_VALUE = frozenset({"NAME", "INT", "FLOAT", "STRING", "MINUS"})


def explain(failure: Failure) -> Verdict:
    """The first rule that knows the slip; the last one knows all."""
    return next(verdict for rule in _RULES if (verdict := rule(failure)))


# --- brackets ---------------------------------------------------------------------------------------------


def _unclosed_block(at: Failure) -> Verdict | None:
    if at.brace is None or "RBRACE" not in at.expected:
        return None
    misplaced = at.token.type != END and _balanced(at)
    if at.token.type not in (END, "MODEL", "USE") or misplaced:
        return None
    last = at.tokens[at.place - 1].span.line
    problem = error("SG008", at.brace.span, "this block is never closed", f"add `}}` after line {last}")
    return Verdict(problem, feed=(Token("RBRACE", "}", at.token.span),))


def _balanced(at: Failure) -> bool:
    kinds = [t.type for t in at.tokens]
    return kinds.count("LBRACE") == kinds.count("RBRACE")


def _unclosed_train(at: Failure) -> Verdict | None:
    """A statement of the model where a setting should stand."""
    if at.level != "train" or at.brace is None or at.token.type not in ("COLON", "NET", "TRAIN"):
        return None
    begin = at.begin if at.token.type == "COLON" else at.place
    if not begins_line(at.tokens, begin):
        return None
    help = f"add `}}` after line {at.tokens[begin - 1].span.line}"
    return Verdict(error("SG008", at.brace.span, "this block is never closed", help), resume=begin, closes=True)


def _unopened(at: Failure) -> Verdict | None:
    sign = at.token.text
    if at.token.type in ("RPAR", "RSQB") and not at.open_brackets and at.place > at.begin:
        return Verdict(error("SG026", at.token.span, f"nothing opens this `{sign}`", "delete it"), skips=True)
    if at.token.type == "RBRACE" and at.brace is None:
        return Verdict(error("SG026", at.token.span, "nothing opens this `}`", "delete it"), resume=at.place + 1)
    return None


def _unclosed(at: Failure) -> Verdict | None:
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


def _named_with_equal(at: Failure) -> Verdict | None:
    if at.token.type != "EQUAL" or not at.open_brackets or at.open_brackets[-1].type != "LPAR" or len(at.read) < 2:
        return None
    name, lead = at.read[-1], at.read[-2]
    if name.type != "NAME" or lead.type not in ("LPAR", "COMMA") or "COLON" not in at.expected:
        return None
    value = at.tokens[at.place + 1]
    help = f"`{name.text}: {value.text}`" if value.type in _VALUE else f"`{name.text}:`"
    problem = error("SG018", at.token.span, "a named option is written with `:`", help)
    return Verdict(problem, feed=(Token("COLON", ":", at.token.span),), resume=at.place + 1)


def _double_equal(at: Failure) -> Verdict | None:
    if at.token.type != "==":
        return None
    if "ARROW" not in at.expected or at.tokens[at.place + 1].text == "data":
        problem = error("SG020", at.token.span, "one `=` here")
        return Verdict(problem, feed=(Token("EQUAL", "=", at.token.span),), resume=at.place + 1)
    problem = error("SG017", at.token.span, "there is no such arrow as `==`", ARROW_HELP)
    return Verdict(problem, feed=(Token("ARROW", "==>", at.token.span),), resume=at.place + 1)


def _bare_mark(at: Failure) -> Verdict | None:
    """`-` or `~` or `=` where an arrow should stand."""
    if at.token.type not in ("MINUS", "TILDE") or "ARROW" not in at.expected or at.open_brackets:
        return None
    sign = at.token.text
    problem = error("SG017", at.token.span, f"there is no such arrow as `{sign}`", ARROW_HELP)
    return Verdict(problem, feed=(Token("ARROW", f"{sign}>", at.token.span),), resume=at.place + 1)


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


def _nothing_follows(at: Failure) -> Verdict | None:
    """Told at the sign after which nothing stands, also where the next statement's name was taken for it."""
    back = _taken_name(at)
    place = at.place - back
    if place <= at.begin or at.open_brackets or (not back and at.token.type in _VALUE | {"LPAR", NOT_A_TOKEN}):
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


def _nothing_after_comma(at: Failure) -> Verdict | None:
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


def _word_without_value(at: Failure) -> Verdict | None:
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


def _misplaced_word(at: Failure) -> Verdict | None:
    if at.token.type not in _STANDS or at.ahead(1) in ("COLON", "ARROW", "LSQB") or at.open_brackets:
        return None
    if "NAME" in at.expected and not at.complete and at.place > at.begin:
        return None
    return Verdict(error("SG029", at.token.span, f"`{at.token.text}` {_STANDS[at.token.type]}"))


# --- names ---------------------------------------------------------------------------------------------------


def _reserved() -> frozenset[str]:
    return frozenset(word.upper() for word in RESERVED)


def _reserved_name(at: Failure) -> Verdict | None:
    word = at.token
    if at.token.type in ("COLON", "ARROW", "DOT", "LSQB", "COMMA") and at.before and at.before.text in RESERVED:
        if at.token.type != "COLON" and len(at.read) > 1:
            return None
        word = at.before
    elif word.type not in _reserved() or "NAME" not in at.expected:
        return None
    elif (at.place == at.begin or at.complete) and at.ahead(1) not in ("COLON", "ARROW", "COMMA", "LSQB", "DOT"):
        return None
    elif word.type in OPENERS and at.ahead(1) not in ("COLON", "ARROW", "COMMA", "RPAR", "EQUAL", "RBRACE", END):
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


# --- factors --------------------------------------------------------------------------------------------------


def _conditional(at: Failure) -> Verdict | None:
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


def _two_arrows(at: Failure) -> Verdict | None:
    if at.token.type != "ARROW" or "ARROW" not in at.types or "COLON" not in at.types:
        return None
    name = at.read[0].text
    first = "".join(_spaced(at.read[at.types.index("COLON") + 1 :]))
    middle = next((t.text for t in reversed(at.read) if t.type == "NAME"), "h")
    target = at.tokens[at.place + 1].text if at.ahead(1) == "NAME" else "x"
    help = f"`{name}.1 : {first}`, `{name}.2 : {middle} {at.token.text} {target}`"
    return Verdict(error("SG016", at.token.span, "one arrow a statement", help))


def _spaced(tokens: tuple[Token, ...]) -> str:
    span = tokens[0].span.to(tokens[-1].span)
    return " ".join(span.source.text[span.start : span.end].split())


def _comma_missing(at: Failure) -> Verdict | None:
    """Between two parents, two arguments, two groups."""
    if at.before is None or "COMMA" not in at.expected or begins_line(at.tokens, at.place):
        return None
    if at.level == "train" and not at.open_brackets and at.ahead(1) not in ("COMMA", "EQUAL"):
        return None
    in_call = bool(at.open_brackets) and at.open_brackets[-1].type == "LPAR"
    if in_call and at.token.type in _VALUE:
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


def _comma_missing_before(at: Failure) -> Verdict | None:
    """`p_theta : z y ==> x` was read as a variable of type z, and y as the next statement."""
    match at.previous:
        case ast.VariableDecl(type=ast.Call(args=(), options=(), parens=False) as type_, data=None, prior=None, partial=None):
            if not at.read or at.read[0].type != "NAME" or begins_line(at.tokens, at.begin):
                return None
            first, second = at.tokens[at.begin - 1], at.tokens[at.begin]
            problem = error("SG012", between(first, second), "parents are separated by commas",
                            f"`{type_.name.text}, {second.text}`")  # fmt: skip
            return Verdict(problem, retracts=True)
    return None


def _colon_missing(at: Failure) -> Verdict | None:
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


def _equal_missing(at: Failure) -> Verdict | None:
    if "EQUAL" not in at.expected or "ARROW" in at.expected or at.open_brackets:
        return None
    head = at.level == "train" or at.tokens[at.begin].type == "NET"
    if not head or at.token.type not in _VALUE | {"COLON"} or at.ahead(1) in ("COMMA", "EQUAL"):
        return None
    if at.token.type == "COLON":
        problem = error("SG037", at.token.span, "a setting is written with `=`", f"`{_spaced(at.read)} = ...`")
        return Verdict(problem, feed=(Token("EQUAL", "=", at.token.span),), resume=at.place + 1)
    help = f"`{_spaced(at.read)} = {line_from(at.tokens, at.place)}`"
    problem = error("SG037", between(at.tokens[at.place - 1], at.token), "`=` is missing", help)
    return Verdict(problem, feed=(Token("EQUAL", "=", at.token.span),))


def _dots(at: Failure) -> Verdict | None:
    """`p_theta.1.5`, `z.rest.x`."""
    if at.types[-1:] == ("DOT",) and at.token.type in ("FLOAT", "STRING", "INT"):
        return Verdict(error("SG024", at.token.span, "a suffix is one name or one whole number", "`p_theta.1`"))
    if at.token.type == "DOT" and at.types[-2:-1] == ("DOT",):
        return Verdict(error("SG024", at.token.span, "a name has one dot at most"))
    return None


def _second_equal(at: Failure) -> Verdict | None:
    if at.token.type != "EQUAL" or at.open_brackets or "ARROW" not in at.types:
        return None
    if OPTION_WORDS & set(at.types):
        return Verdict(error("SG019", at.token.span, "the network comes before the options"))
    return Verdict(error("SG028", at.token.span, "one network a factor"))


# --- the algebra and the level ------------------------------------------------------------------------------


def _algebra(at: Failure) -> Verdict | None:
    if at.level not in ("file", "expression") or at.before is None:
        return None
    if "STAR" in at.expected and at.before.type in ("INT", "FLOAT"):
        problem = error("SG036", between(at.before, at.token), "`*` is missing", f"`{at.before.text} * {at.token.text}`")
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


def _misplaced(at: Failure) -> Verdict | None:
    if at.level == "file":
        if (at.place == at.begin or at.complete) and at.token.type == "NAME":
            if opens(at.tokens, at.place, "block"):
                words = "variables, factors and their networks stand in a model"
                return Verdict(error("SG029", at.token.span, words, "`model M { ... }`"))
            near = did_you_mean(at.token.text, ("model", "net", "train", "use"))
            words = f"`{short(at.token.text)}` does not begin a statement; a file holds `use`, `net`, `model` and `train`"
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
        if depth == 0 and (kind == "RBRACE" or begins_line(at.tokens, place) and opens(at.tokens, place, at.level)):
            break
        depth += (kind == "LBRACE") - (kind == "RBRACE")
        place += 1
    return place


# --- anything else --------------------------------------------------------------------------------------------


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
    _unclosed_block, _unclosed_train, _named_with_equal, _double_equal, _nothing_follows, _nothing_after_comma,
    _reserved_name, _misplaced_word, _unclosed, _unopened, _conditional, _two_arrows, _dots, _comma_missing,
    _comma_missing_before, _colon_missing, _bare_mark, _word_without_value, _second_equal, _equal_missing, _algebra,
    _misplaced, _not_a_token, _anything,
)  # fmt: skip
