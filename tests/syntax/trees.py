"""Random syntax trees: every file that they give can be written and read back."""

from __future__ import annotations

from hypothesis import strategies as st

from schematic.core.names import RESERVED
from schematic.syntax import ast

WORDS = st.one_of(
    st.sampled_from(["x", "y", "z", "t", "data", "adam", "real", "swap", "mlp", "F", "p_theta", "lib", "fake"]),
    st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,3}(_[A-Za-z0-9]{1,3}){0,2}", fullmatch=True),
).filter(lambda word: word not in RESERVED)  # fmt: skip
names = st.builds(ast.Name, WORDS)
suffixes = st.one_of(WORDS, st.integers(0, 99).map(str))
full_names = st.one_of(names, st.builds(lambda a, b: ast.Name(f"{a}.{b}"), WORDS, suffixes))
model_names = st.one_of(names, st.builds(lambda a, b: ast.Name(f"{a}.{b}"), WORDS, WORDS))
numbers = st.sampled_from(["0", "1", "12", "0.5", "2e-4", "1E5", "1.5e+3", "-1", "-0.25", "1000000000"]).map(ast.Number)
texts = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters='"'), max_size=8).map(ast.Text)


def _tuple(of: st.SearchStrategy, low: int = 0, high: int = 3) -> st.SearchStrategy:
    return st.lists(of, min_size=low, max_size=high).map(tuple)


def _calls(arguments: st.SearchStrategy) -> st.SearchStrategy:
    def named(low: int) -> st.SearchStrategy:
        pairs = st.tuples(names, arguments)
        return st.lists(pairs, min_size=low, max_size=2, unique_by=lambda pair: pair[0].text).map(tuple)

    return st.one_of(
        st.builds(ast.Call, names, parens=st.booleans()),
        st.builds(ast.Call, names, _tuple(arguments, 1), named(0), parens=st.just(True)),
        st.builds(ast.Call, names, st.just(()), named(1), parens=st.just(True)),
    )


def _chained(calls: st.SearchStrategy) -> st.SearchStrategy:
    def chain(parts: list[ast.Call]) -> ast.Call:
        *first, last = parts
        for call in reversed(first):
            last = ast.Call(call.name, call.args, call.options, last, call.parens)
        return last

    return st.lists(calls, min_size=1, max_size=3).map(chain)


args = st.recursive(st.one_of(numbers, texts, names.map(ast.Call)), lambda inner: _chained(_calls(inner)), max_leaves=5)
calls = st.deferred(lambda: _calls(args))  # deferred: short names in reports
nets = st.deferred(lambda: _chained(calls))

options = st.lists(
    st.one_of(
        st.sampled_from(["perfect", "fixed"]).map(lambda word: ast.Option(ast.Name(word))),
        st.builds(lambda word, n: ast.Option(ast.Name(word), (n,)), st.sampled_from(["weight", "beta"]), numbers),
        st.builds(lambda n: ast.Option(ast.Name("temperature"), (n,)), numbers),
        st.builds(lambda word, c: ast.Option(ast.Name(word), (c,)), st.sampled_from(["gradient", "divergence"]), calls),
        st.builds(lambda a, b: ast.Option(ast.Name("when"), (ast.Call(a), ast.Call(b))), names, names),
    ),
    max_size=3,
    unique_by=lambda option: option.name.text,
).map(tuple)

indices = st.one_of(
    st.builds(ast.Index, st.none(), st.integers(0, 2000)),
    st.builds(ast.Index, st.none(), st.integers(0, 9), st.integers(0, 2000)),
    st.builds(ast.Index, WORDS, st.integers(-3, 3)),
)
ends = st.one_of(
    st.builds(ast.End, names), st.builds(ast.End, names, indices), st.builds(ast.End, names, st.none(), names)
)
marks = st.sampled_from(["->", "-->", "=>", "==>", "~>", "~~>"]).map(ast.Arrow)

fields = st.builds(ast.Data, _tuple(texts), st.one_of(st.none(), names))
variables = st.builds(
    ast.VariableDecl, names, st.one_of(st.none(), indices), calls, st.one_of(st.none(), fields),
    st.one_of(st.none(), calls), st.one_of(st.none(), st.just(ast.Name("partial"))),
)  # fmt: skip
factors = st.builds(ast.FactorDecl, full_names, _tuple(ends), marks, ends, st.one_of(st.none(), nets), options)
hows = st.builds(ast.FactorHow, full_names, nets, options)
net_decls = st.builds(ast.NetDecl, names, _tuple(names), nets, options)
values = st.one_of(nets, numbers, texts)
settings = st.builds(ast.Setting, _tuple(names, 1), values)
trains = st.builds(ast.Train, _tuple(settings))
statements = st.one_of(variables, factors, hows, net_decls, trains)
blocks = st.deferred(lambda: st.builds(ast.Block, _tuple(statements, 0, 4)))

move_names = st.one_of(names, st.just(ast.Name("perfect")))
move_args = _tuple(st.one_of(values, full_names.map(ast.Call)))
expressions = st.recursive(
    st.builds(ast.Ref, model_names),
    lambda inner: st.one_of(
        st.builds(ast.Move, move_names, inner, move_args),
        st.builds(ast.Without, inner, full_names),
        st.builds(ast.Restate, inner, blocks),
        st.builds(ast.Times, numbers, inner),
        st.builds(ast.Plus, inner, inner),
    ),
    max_leaves=4,
)
models = st.deferred(lambda: st.builds(ast.ModelDecl, names, st.one_of(blocks, expressions)))
uses = st.builds(ast.Use, texts, st.one_of(st.none(), names))
files = st.deferred(lambda: st.builds(ast.File, _tuple(st.one_of(uses, net_decls, models, trains), 0, 4)))
