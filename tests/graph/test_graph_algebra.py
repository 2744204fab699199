"""The laws of the algebra on random arrow sets, and the paper's moves on InfoGAN.

Equality of models: everything but the log and places, the order of factors included.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematic.core.diagnostics import Report, SchematicError
from schematic.graph import algebra as sg
from schematic.graph.build import parse
from schematic.graph.defaults import resolve
from schematic.graph.model import (
    AnyModel,
    Data,
    Factor,
    Gradient,
    How,
    Model,
    Net,
    NetDeclaration,
    Optimizer,
    Prior,
    Sum,
    Train,
    Type,
    Variable,
)
from schematic.graph.text import model_text

INFOGAN = """model InfoGAN {
  x : unit(1, 8, 8) = data("image")
  z : real(16) ~ Normal(0, 1)
  y : domain(fake, real)
  p_theta : z, y ==> x
  q_phi : x ~> y = dcgan(64)
  q_eta : x, y -> z = Normal(mlp(128))
}
"""


def built(text: str) -> AnyModel:
    report = Report()
    model = parse(text, report)
    assert model is not None, "\n".join(d.render() for d in report)
    return model


def bare(model: AnyModel) -> AnyModel:
    """The model without its log."""
    if isinstance(model, Sum):
        return replace(model, terms=tuple((c, replace(m, log=())) for c, m in model.terms))
    return replace(model, log=())


def arrows(model: AnyModel) -> dict[str, str]:
    assert isinstance(model, Model)
    return {f.name: f"{', '.join(f.parents)} {f.mark} {f.target}" for f in model.factors}


# --- random arrow sets -----------------------------------------------------------------------------------------

VARIABLES = ("x", "z", "h", "t")
TYPES = (Type("unit", (1, 8, 8)), Type("real", (16,)), Type("binary", (4,)), Type("category", (), 3), Type("real"))
NETS = (Net("dcgan", (64,)), Net("mlp", (8,)), Net("linear"), Net("D", declared=True), Net("table"))
NAMES = ("p_theta", "q_eta", "p_psi", "p_theta.t", "q_phi", "q_eta.2", "q_xi")


def how(r: Random) -> How | None:
    net = r.choice((None, *NETS))
    family = r.choice((None, "Normal", "Laplace", "Delta"))
    return None if net is None and family is None else How(net, family)


def factor(r: Random, name: str) -> Factor:
    blue = r.random() < 0.25
    target = "y" if blue else r.choice(VARIABLES)
    others = [v for v in VARIABLES if v != target]
    parents = tuple(r.sample(others, r.randint(int(blue), len(others))))
    return Factor(
        name,
        (*parents, "y") if not blue and r.random() < 0.5 else parents,
        target,
        r.choice(("generative", "inference")),
        implicit=not blue and r.random() < 0.5,
        adversarial=blue,
        how=how(r),
        perfect=blue and r.random() < 0.5,
        fixed=r.random() < 0.5,
        temperature=r.choice((1.0, 1.5)),
        weight=r.choice((1.0, 0.1)),
        beta=r.choice((1.0, 4.0)),
        when=None if blue else r.choice((None, 0, 1)),
        gradient=r.choice((None, Gradient("reinforce"))),
    )


def random_model(seed: int) -> Model:
    r = Random(seed)
    names = r.sample(NAMES, r.randint(1, len(NAMES)))
    datas, priors = (None, Data(("f",))), (None, Prior("Normal", (0.0, 1.0)))
    variables = [Variable(v, r.choice(TYPES), r.choice(datas), r.choice(priors)) for v in VARIABLES]
    y = Variable("y", Type("domain", (), 2, ("fake", "real")))
    nets = (NetDeclaration("D", Net("mlp", (4,)), ("theta",)),)
    train = Train("mnist", 3, None, (("theta", Optimizer()), ("eta", Optimizer("sgd", 0.1))))
    return Model("M", (*variables, y), tuple(factor(r, n) for n in names), nets, train)


# One integer an example: hypothesis draws arrow sets by the hundred, and a failure names its seed.
models = st.integers(0, 2**32 - 1).map(random_model)
pair = st.permutations(VARIABLES).map(lambda order: order[:2])
laws = settings(max_examples=300, deadline=None)


@laws
@given(models, pair)
def test_swap_is_a_symmetric_involution(model: Model, ab: list[str]) -> None:
    a, b = ab
    swapped = sg.swap(model, a, b)
    assert bare(sg.swap(swapped, a, b)) == bare(model)
    assert bare(sg.swap(model, b, a)) == bare(swapped)


@laws
@given(models)
def test_swap_arrows_is_an_involution(model: Model) -> None:
    assert bare(sg.swap_arrows(sg.swap_arrows(model))) == bare(model)


@laws
@given(models, pair)
def test_the_swaps_commute(model: Model, ab: list[str]) -> None:
    a, b = ab
    assert bare(sg.swap(sg.swap_arrows(model), a, b)) == bare(sg.swap_arrows(sg.swap(model, a, b)))


@laws
@given(models, pair)
def test_a_swap_moves_only_what_it_says(model: Model, ab: list[str]) -> None:
    """Marks and options stay on the arrow, types and given distributions with the names; no HOW is lost or made."""
    swapped = sg.swap(model, *ab)
    assert isinstance(swapped, Model)
    assert swapped.variables == model.variables
    for old, new in zip(model.factors, swapped.factors, strict=True):
        kept = replace(new, name=old.name, how=old.how, parents=old.parents, target=old.target)
        assert kept == old
    assert sorted(map(repr, (f.how for f in swapped.factors))) == sorted(map(repr, (f.how for f in model.factors)))
    assert len({f.name for f in swapped.factors}) == len(model.factors)


@laws
@given(models, pair)
def test_a_net_for_x_stays_a_net_for_x(model: Model, ab: list[str]) -> None:
    """With one producer each, who produces a variable keeps its name and HOW."""
    swapped = sg.swap(model, *ab)
    assert isinstance(swapped, Model)
    into = [[f for f in model.factors if f.target == v and not f.adversarial] for v in ab]
    if [len(fs) for fs in into] == [1, 1]:
        for (f,) in into:
            (g,) = (g for g in swapped.factors if g.target == f.target and not g.adversarial)
            assert (g.name, g.how) == (f.name, f.how)
    elif sorted(len(fs) for fs in into) != [0, 1]:
        assert [(f.name, f.how) for f in swapped.factors] == [(f.name, f.how) for f in model.factors]


@laws
@given(models, st.sampled_from((*VARIABLES, "theta", "eta", "p_psi")))
def test_rename_there_and_back(model: Model, name: str) -> None:
    if name not in (*VARIABLES, *model.groups, *(f.name for f in model.factors)):
        return
    new = "q_new" if name.startswith("p_") else "new"
    assert bare(sg.rename(sg.rename(model, name, new), new, name)) == bare(model)


@laws
@given(models, pair)
def test_rename_commutes_with_the_swaps(model: Model, ab: list[str]) -> None:
    a, b = ab
    renamed = sg.rename(model, a, "v")
    assert bare(sg.swap(renamed, "v", b)) == bare(sg.rename(sg.swap(model, a, b), a, "v"))
    assert bare(sg.swap_arrows(renamed)) == bare(sg.rename(sg.swap_arrows(model), a, "v"))


@laws
@given(models)
def test_activate_undoes_perfect(model: Model) -> None:
    for f in model.factors:
        if f.adversarial and not f.perfect:
            assert bare(sg.activate(sg.perfect(model, f.name), f.name)) == bare(model)
            if not any(g.perfect for g in model.factors):
                assert bare(sg.activate(sg.perfect(model, f.name), "q_star")) == bare(model)


@laws
@given(models, pair)
def test_every_factor_of_a_moved_model_resolves(model: Model, ab: list[str]) -> None:
    for moved in (model, sg.swap(model, *ab), sg.swap_arrows(model)):
        assert isinstance(moved, Model)
        for f in moved.factors:
            resolved = resolve(moved, f)
            if f.how and f.how.net and resolved.gave_way is None:
                assert resolved.net == f.how.net


# --- the paper's moves -----------------------------------------------------------------------------------------


def test_figure_3b_the_arrows_of_infogan_swapped() -> None:
    aavae = sg.swap_arrows(built(INFOGAN))
    assert arrows(aavae) == {"p_theta": "z, y -> x", "q_phi": "x ~~> y", "q_eta": "x, y --> z"}
    vae = sg.perfect(aavae, "q_phi")
    assert isinstance(vae, Model)
    assert arrows(vae) == arrows(aavae) and vae.factor("q_phi").perfect
    assert bare(sg.activate(vae, "q_star")) == bare(aavae)


def test_figure_3c_data_and_code_of_infogan_swapped() -> None:
    aae = sg.swap(built(INFOGAN), "x", "z")
    assert arrows(aae) == {"q_eta": "x, y ==> z", "q_phi": "z ~> y", "p_theta": "z, y -> x"}
    assert isinstance(aae, Model)
    assert aae.factor("q_eta").how == How(Net("mlp", (128,)), "Normal")
    assert resolve(aae, aae.factor("q_phi")).gave_way == Net("dcgan", (64,))
    assert resolve(aae, aae.factor("q_phi")).net == Net("mlp", (400, 400))
    assert any("dcgan(64) does not fit" in line.text for line in aae.log)


def test_a_variable_produced_alone_takes_its_how_along() -> None:
    gan = sg.without(built(INFOGAN), "q_eta")
    swapped = sg.swap(gan, "x", "z")
    assert arrows(swapped) == {"q_eta": "x, y ==> z", "q_phi": "z ~> y"}
    assert bare(sg.swap(swapped, "x", "z")) == bare(gan)


def test_a_name_that_is_taken_stays() -> None:
    text = "model M { x : real  z : real  h : real  p_theta : z -> x  q_eta : x -> h }"
    assert arrows(sg.swap(built(text), "x", "z")) == {"p_theta": "x -> z", "q_eta": "z -> h"}


def test_several_producers_keep_their_own() -> None:
    text = (
        "model M { x : real  z : real  p_theta : z -> x = mlp(1)  p_psi : z -> x = mlp(2)  q_eta : x --> z = mlp(3) }"
    )
    swapped = sg.swap(built(text), "x", "z")
    assert arrows(swapped) == {"p_theta": "x -> z", "p_psi": "x -> z", "q_eta": "z --> x"}
    assert isinstance(swapped, Model)
    assert swapped.factor("q_eta").how == How(Net("mlp", (3,)))


def test_options_stay_on_their_arrow() -> None:
    text = "model M { x : real  z : binary(2)  p_theta : z -> x weight 0.5  q_eta : x --> z beta 4 gradient reinforce }"
    swapped = sg.swap(built(text), "x", "z")
    assert isinstance(swapped, Model)
    assert arrows(swapped) == {"q_eta": "x -> z", "p_theta": "z --> x"}
    assert swapped.factor("q_eta").weight == 0.5
    assert swapped.factor("p_theta").beta == 4
    assert swapped.factor("p_theta").gradient == Gradient("reinforce")


def test_the_compared_variable_is_hollow_where_it_is_sampled() -> None:
    """==> and -> change places, and --> and =>, for its producers alone."""
    text = "model M { x : real  z : real  y : domain(a, b)  p_a : z {0} x  q_b : x ~> y  q_c : x {1} z }"
    for mark, turned in {"==>": "->", "->": "==>", "-->": "=>", "=>": "-->"}.items():
        model = sg.swap_arrows(built(text.replace("{0}", mark).replace("{1}", "->")))
        assert arrows(model)["p_a"] == f"z {turned} x"
    for mark, turned in {"==>": "=>", "->": "-->", "-->": "->", "=>": "==>"}.items():
        model = sg.swap_arrows(built(text.replace("{0}", "->").replace("{1}", mark)))
        assert arrows(model)["q_c"] == f"x {turned} z"
        assert arrows(model)["q_b"] == "x ~~> y"


def test_what_the_moves_log() -> None:
    aavae = sg.swap_arrows(built(INFOGAN))
    vae = sg.perfect(aavae, "q_phi")
    assert isinstance(aavae, Model) and isinstance(vae, Model)
    told = [line.text for line in aavae.log]
    assert any("`p_theta` gets an explicit density" in line for line in told)
    assert any("KL of `q_eta` against the prior of z" in line for line in told)
    assert any("do not play one objective" in line for line in told)
    lines = [line.text for line in vae.log]
    assert any("reads the origin" in line for line in lines)
    assert any("formally minus infinity" in line for line in lines)
    assert not any("do not play one objective" in line for line in lines)
    assert all(line.span.start == 0 for line in vae.log)


# --- blocks, parts, names ----------------------------------------------------------------------------------------


def test_a_block_replaces_in_its_place_and_adds_at_the_end() -> None:
    model = sg.restate(built(INFOGAN), "q_phi : z ~> y  w : real  q_xi : x --> w  x : unit(1, 4, 4) = data")
    assert isinstance(model, Model)
    assert [v.name for v in model.variables] == ["x", "z", "y", "w"]
    assert [f.name for f in model.factors] == ["p_theta", "q_phi", "q_eta", "q_xi"]
    assert model.variable("x").type.shape == (1, 4, 4)
    assert model.variable("x").data == Data(("x",))
    assert arrows(model)["q_phi"] == "z ~> y"


def test_a_bare_right_side_keeps_the_arrow_and_replaces_all_options() -> None:
    model = sg.restate(built(INFOGAN), "q_phi = mlp(8) temperature 3")
    model = sg.restate(model, "q_phi = linear")
    assert isinstance(model, Model)
    assert model.factor("q_phi").how == How(Net("linear"))
    assert model.factor("q_phi").temperature == 1
    assert arrows(model)["q_phi"] == "x ~> y"


def test_a_net_may_be_declared_below_its_use_in_a_block_on_a_model() -> None:
    model = sg.restate(built(INFOGAN), "q_phi = D  net D = mlp(8)")
    assert isinstance(model, Model)
    assert model.factor("q_phi").how == How(Net("D", declared=True))


def test_train_settings_replace_one_by_one() -> None:
    model = built(INFOGAN + 'train { data = "mnist" batch = 8 phi = sgd(1) eta, theta = adam(1e-3, 0.5) }')
    changed = sg.restate(model, "train { batch = 16  theta = rmsprop(0.1) }")
    assert changed.train == Train(
        "mnist",
        16,
        None,
        (
            ("phi", Optimizer("sgd", 1.0)),
            ("eta", Optimizer("adam", 1e-3, (0.5, 0.999))),
            ("theta", Optimizer("rmsprop", 0.1)),
        ),
    )


def test_without_refuses_what_is_used() -> None:
    model = built(INFOGAN)
    with pytest.raises(SchematicError, match="SG307"):
        sg.without(model, "x")
    freed = sg.without(sg.without(sg.without(model, "q_eta"), "p_theta"), "z")
    assert isinstance(freed, Model)
    assert [v.name for v in freed.variables] == ["x", "y"]


def test_renaming_a_group_takes_its_settings_and_nets_along() -> None:
    text = INFOGAN.replace("p_theta :", "net D in phi = mlp(4)  p_theta :").replace("dcgan(64)", "D")
    model = sg.rename(built(text + "train { phi = sgd(1) }"), "phi", "psi")
    assert isinstance(model, Model)
    assert model.groups == ("theta", "psi", "eta")
    assert model.nets[0].groups == ("psi",)
    assert dict(model.train.optimizers) == {"psi": Optimizer("sgd", 1.0)}


def test_renaming_a_variable_keeps_its_field() -> None:
    model = sg.rename(built("model M { image : real = data  z : real  q_a : image --> z }"), "image", "x")
    assert isinstance(model, Model)
    assert model.variable("x").data == Data(("image",))


@pytest.mark.parametrize(
    "move",
    [
        lambda m: sg.swap(m, "x", "w"),
        lambda m: sg.swap(m, "x", "y"),
        lambda m: sg.swap(m, "x", "x"),
        lambda m: sg.perfect(m, "q_eta"),
        lambda m: sg.perfect(m, "nothing"),
        lambda m: sg.activate(m, "q_phi"),
        lambda m: sg.activate(m, "q_star"),
        lambda m: sg.rename(m, "x", "z"),
        lambda m: sg.rename(m, "x", "model"),
        lambda m: sg.rename(m, "x", "a__b"),
        lambda m: sg.rename(m, "q_phi", "q_theta.1 + 1"),
        lambda m: sg.without(m, "nothing"),
        lambda m: sg.restate(m, "q_phi = "),
        lambda m: sg.importance(m, 0),
        lambda m: sg.scale(0, m),
        lambda m: sg.activate(sg.perfect(m, "q_phi"), "q_phi", "dcgan(64, 64)"),
    ],
)
def test_a_move_that_does_not_apply_raises(move) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SchematicError) as refused:
        move(built(INFOGAN))
    assert str(refused.value)


# --- sums ------------------------------------------------------------------------------------------------------

HALF = """model Half {
  x : unit(3, 8, 8) = data("horses/image")
  z : unit(3, 8, 8) = data("zebras/image")
  y : domain(fake, real)
  p_theta : z, y ==> x
  q_phi : x ~> y
  q_eta : x, y -> z = Laplace(resnet(8), scale: 0.1)
}
"""


def test_cyclegan_shares_its_maps_and_has_two_discriminators() -> None:
    total = built(HALF + "model CycleGAN = Half + swap(Half, x, z)")
    assert isinstance(total, Sum)
    first, second = (m for _, m in total.terms)
    assert arrows(first) == {"p_theta": "z, y ==> x", "q_phi": "x ~> y", "q_eta": "x, y -> z"}
    assert arrows(second) == {"q_eta": "x, y ==> z", "q_phi.z": "z ~> y", "p_theta": "z, y -> x"}
    assert total.labels == ("Half", "2")
    assert total.groups == ("theta", "phi", "eta")


def test_weights_multiply_and_the_first_setting_wins() -> None:
    text = INFOGAN + "model G = InfoGAN { train { batch = 3  phi = sgd(1) } }\n"
    total = built(text + "model S = 2 * (InfoGAN + 0.5 * G) + 3 * G")
    assert isinstance(total, Sum)
    assert [c for c, _ in total.terms] == [2, 1, 3]
    assert total.labels == ("InfoGAN", "2", "3")
    assert (total.train.batch, dict(total.train.optimizers)) == (3, {"phi": Optimizer("sgd", 1.0)})


def test_a_move_on_a_sum_is_the_sum_of_the_moved_terms() -> None:
    text = HALF + "model S = Half + swap(Half, x, z)\nmodel T = swap_arrows(S)\nmodel U = S without q_phi.z"
    turned, less = built(text.partition("model U")[0]), built(text)
    assert isinstance(turned, Sum) and isinstance(less, Sum)
    assert [f.mark for _, m in turned.terms for f in m.factors] == ["->", "~~>", "-->", "->", "~~>", "-->"]
    assert [len(m.factors) for _, m in less.terms] == [3, 2]


@laws
@given(models)
def test_a_model_plus_itself_is_one_set_of_conditionals(model: Model) -> None:
    """Each factor meets its twin, where the model says one conditional twice, too."""
    model = replace(model, factors=tuple(replace(f, how=None) for f in model.factors))
    total = sg.add(model, model)
    first, second = (m for _, m in total.terms)
    assert first.factors == second.factors == model.factors
    assert total.labels == ("1", "2")


def test_the_same_name_on_other_ends_takes_a_suffix() -> None:
    text = """model A { x : real = data  z : real  r : real  y : domain(a, b)  p_theta : z ==> x  q_phi : x ~> y }
    model B { x : real = data  z : real  r : real  y : domain(a, b)  p_theta : z ==> r  q_phi : x, z ~> y }
    model C { x : real = data  z : real  r : real  y : domain(a, b)  p_theta.2 : y, z ==> r  q_phi : z, x ~> y }
    model S = A + B + C"""
    total = built(text)
    assert isinstance(total, Sum)
    assert [arrows(m) for _, m in total.terms] == [
        {"p_theta": "z ==> x", "q_phi": "x ~> y"},
        {"p_theta.r": "z ==> r", "q_phi.x_z": "x, z ~> y"},
        {"p_theta.r": "y, z ==> r", "q_phi.x_z": "x, z ~> y"},
    ]
    report = Report()
    clash = text.replace("model S", "model D = A { p_theta.r : x -> z }  model S").replace("A + B + C", "D + B")
    assert parse(clash, report) is None
    (problem,) = (d for d in report if d.severity == "error")
    assert problem.code == "SG303" and "`p_theta.r` is taken" in problem.message


# --- texts -----------------------------------------------------------------------------------------------------

TEXTS = {
    "sum": HALF + "model S = Half + 0.25 * swap(Half, x, z)  train { data = sets(horses: \"a\")  batch = 3 }",
    "importance": INFOGAN + "model S = importance(InfoGAN, 5)",
    "wake_sleep": INFOGAN + "model S = wake_sleep(InfoGAN without q_phi)",
    "chain": """model M { z[1..9] : real(3) = data  z[9] : real(3) ~ Normal(0, 1)
      p_a : z[t] -> z[t-1]  q_b : z --> w  w : real }""",
    "each": "model M { x : real  z : unit(8)  q_eta : x ==> z  q_phi : z.rest ~> z.each = mlp(64)  p_theta : z -> x }",
    "partial": """model M { x : unit(4) = data  t : category(3, 2) = data("l") partial
      q_a : x --> t weight 50 gradient gumbel(0.5) }""",
    "domains": """model M { y : domain(a, b, c)  x : real = data("s/a", "s/b", "s/c") given y
      q_a : x ~> y divergence minimax temperature 1.5 }""",
    "nets": """net D in phi = conv(8, 16, kernel: 5)  net V = python("lpips:VGG") fixed
      model M { x : unit(1, 8, 8) = data  y : domain(fake, real)  z : real(3) ~ Laplace(-1, 2.5e-3)
      q_phi : x ~> y = D fixed  q_eta : x --> z = Normal(D then mlp(4), scale: 0.1) beta 0.5 when y = real
      p_theta.t : z, x -> x2 = V  x2 : real  p_a : -> u  u : real
      train { phi = adam(1e-4, 0, 0.9, steps: 5, clip: 2.5, average: 0.9, schedule: linear, warmup: 9)
      eta = rmsprop(1e-5) epochs = 2 } }""",
    "wasserstein": """model M { x : real = data  y : domain(fake, real)
      q_a : x ~> y divergence wasserstein(penalty: 3) perfect }""",
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_model_prints_back_as_its_source(text: str) -> None:
    model = built(text)
    again = built(model_text(model))
    assert bare(again) == bare(model)
    assert model_text(again) == model_text(model)


def test_a_moved_model_prints_what_is_in_force() -> None:
    moved = sg.swap(built(INFOGAN.replace("x ~> y = dcgan(64)", "x ~> y = dcgan(64) temperature 2")), "x", "z")
    again = built(model_text(moved))
    assert isinstance(again, Model)
    assert again.factor("q_phi").how == How(Net("mlp", (400, 400)))
    assert arrows(again) == arrows(moved)
