"""Pyro's estimators on the emitted `model` and `guide` agree with `objective`, in gradient and in value."""

from __future__ import annotations

import ast
from pathlib import Path

import pyro
import pytest
import second_opinion as op
import torch
from pyro.infer.inspect import get_model_relations

from schematic.compiler.pyro import elbo
from schematic.core.diagnostics import Report
from schematic.graph import build
from schematic.graph.model import Model

pytestmark = pytest.mark.filterwarnings("ignore:Failed to verify mean field")  # the data come first in the guide

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = ("gan", "infogan", "vae_direct", "aae", "aavae", "ada", "cgan", "cvae", "two_level_vae", "discrete_vae")

GAN = "x : unit(6) = data  z : real(3) ~ Normal(0, 1)  y : domain(f, r)  p_theta : z, y ==> x = mlp(7)"
VAE = "x : real(6) = data  z : real(3) ~ Normal(0, 1)"

MODELS = {
    "two codes, weights": f"""model M {{ {GAN}  c : category(4) ~ Categorical  q_phi : x ~> y = mlp(5) weight 0.3
        q_eta.c : x, y -> c = mlp(5)  q_eta.z : x, y -> z = mlp(5) weight 0.5 }}""",
    "a divergence in one branch": f"""model M {{ {GAN}  w : real(2) ~ Laplace(0, 1)  q_phi : x ~> y = mlp(5)
        q_eta : x, y --> w = mlp(5)  p_theta.2 : w, y -> z = mlp(4) }}""",
    "a divergence in one branch, data in the other": """model M { x : real(6) = data  t : category(3) = data("s/t")
        z : real(3) ~ Normal(0, 1)  y : domain(f, r)  q_eta : z, y --> t = mlp(5)  p_theta : x -> t = mlp(7) }""",
    "beta": f"model M {{ {VAE} p_theta : z -> x = mlp(7) weight 0.7  q_eta : x --> z = mlp(5) beta 4 }}",
    "weight": f"model M {{ {VAE} p_theta : z -> x = mlp(7)  q_eta : x --> z = mlp(5) weight 2 }}",
    "labels, temperature": f"""model M {{ {VAE} c : category(3) = data("label")  y : domain(f, r)
        p_theta : z, c, y -> x = mlp(7)  q_phi : x ~~> y = mlp(5) temperature 1.5  q_eta : x, c, y --> z = mlp(5) }}""",
    "enumerated and weighed": f"""model M {{ {VAE} t : category(3) ~ Categorical  y : domain(f, r)
        p_theta : z, t, y -> x = mlp(7)  q_phi : x ~~> y = mlp(5) temperature 1.5
        q_eta.t : x, y --> t = mlp(5)  q_eta.z : x, t, y --> z = mlp(5) }}""",
    "inferred alike for every y": f"""model M {{ {VAE} y : domain(f, r)
        p_theta : z, y -> x = mlp(7)  q_phi : x ~~> y = mlp(5)  q_eta : x --> z = mlp(5) }}""",
    "bits": """model M { x : real(6) = data  h : binary(3) ~ Bernoulli(0.3)
        p_theta : h -> x = mlp(7)  q_eta : x --> h = mlp(5) }""",
    "bits and a code": f"""model M {{ {VAE} h : binary(2) ~ Bernoulli(0.3)  p_theta : h, z -> x = mlp(7)
        q_eta.h : x --> h = mlp(5)  q_eta.z : x, h --> z = mlp(5) }}""",
    "an array of classes": """model M { x : real(6) = data  h : category(3, 2) ~ Categorical
        p_theta : h -> x = mlp(7)  q_eta : x --> h = mlp(5) }""",
    "two enumerated levels": """model M { x : real(6) = data  a : category(3) ~ Categorical  b : category(2)
        p_theta.b : a -> b = mlp(3)  p_theta : b -> x = mlp(7)
        q_eta.b : x --> b = mlp(5)  q_eta.a : b --> a = mlp(3) }""",
    "gumbel": """model M { x : real(6) = data  t : category(3) ~ Categorical
        p_theta : t -> x = mlp(7)  q_eta : x --> t = mlp(5) gradient gumbel(0.5) }""",
    "straight through": """model M { x : real(6) = data  t : binary(3) ~ Bernoulli(0.5)
        p_theta : t -> x = mlp(7)  q_eta : x --> t = mlp(5) gradient straight_through }""",
    "a middle variable": f"""model M {{ {VAE} h : real(4)  p_theta.h : z => h = mlp(5)
        p_theta.x : h -> x = mlp(7)  q_eta : x --> z = mlp(5) }}""",
    "features": f"""model M {{ {VAE} h : real(4)  q_eta.h : x ==> h = mlp(5)
        p_theta.x : z -> x = mlp(7)  q_eta : h --> z = mlp(5) }}""",
    "products": f"""model M {{ {VAE} w : real(2) ~ Normal(0, 1)
        p_theta.1 : z -> x = mlp(5)  p_theta.2 : w -> x = mlp(7)  p_theta.3 : w -> z = mlp(2)
        q_eta.1 : x --> z = mlp(5)  q_eta.2 : x --> w = mlp(4) }}""",
    "a learned prior": """model M { x : real(6) = data  z : real(3)
        p_theta.0 : -> z = mlp(4)  p_theta.1 : z -> x = mlp(5)  q_eta.1 : x --> z = mlp(5) }""",
    "three levels": """model M { x : real(6) = data  z1 : real(3)  z2 : real(2)  z3 : real(2) ~ Normal(0, 1)
        p_theta.2 : z3 -> z2 = mlp(3)  p_theta.1 : z2 -> z1 = mlp(4)  p_theta.0 : z1 -> x = mlp(5)
        q_eta.1 : x --> z1 = mlp(5)  q_eta.2 : z1 --> z2 = mlp(4)  q_eta.3 : z2 --> z3 = mlp(2) }""",
    "from the top down": """model M { x : real(6) = data  z1 : real(3)  z2 : real(2) ~ Normal(0, 1)
        p_theta.1 : z2 -> z1 = mlp(4)  p_theta.0 : z1, z2 -> x = mlp(5)
        q_eta.1 : x, z2 --> z1 = mlp(5)  q_eta.2 : x --> z2 = mlp(4) }""",
    "a shared net": f"""net D in phi = mlp(6, 5)
        model M {{ {GAN}  q_phi : x ~> y = D  q_eta : x, y -> z = Normal(D then mlp(4)) }}""",
    "a net of two groups": f"""net D in phi, eta = mlp(6, 5)
        model M {{ {GAN}  q_phi : x ~> y = D  q_eta : x, y -> z = D }}""",
    "an explicit generator": """model M { x : real(6) = data  z : real(3) ~ Normal(0, 1)  y : domain(f, r)
        p_theta : z, y --> x = mlp(7)  q_phi : x ~> y = mlp(5)  q_eta : x, y -> z = mlp(4) }""",
    "ALI, stochastic": f"""model M {{ {VAE} y : domain(f, r)  p_theta : z ==> x = mlp(7) when y = f
        q_eta : x --> z = mlp(4) when y = r  q_phi : x, z ~> y = mlp(5) }}""",
    "a VAE in the given branch": f"""model M {{ {VAE} y : domain(f, r)  p_theta : z ==> x = mlp(7) when y = f
        q_eta : x --> z = mlp(4) when y = r  p_eta : z -> x = mlp(4) when y = r  q_phi : x ~> y = mlp(5) }}""",
    "adaptation": """model M { y : domain(t, s)  z : real(5) = data("a/i", "b/i") given y  l : category(3) = data("b/l")
        x : real(4)  p_theta : z, y ==> x = mlp(7)  q_phi : x ~> y = mlp(5)  p_eta : x -> l = mlp(3) when y = s }""",
    "two discriminators": f"""model M {{ {GAN}  q_phi : x ~> y = mlp(5)  q_psi : x ~> y = mlp(4) temperature 2 }}""",
    "names that the program uses": """model M { batch : real(6) = data("image")  rows : real(3) ~ Normal(0, 1)
        weight_ : domain(like, n)  p_theta : rows, weight_ ==> batch = mlp(7)  q_phi : batch ~> weight_ = mlp(5)
        q_eta : batch, weight_ -> rows = mlp(4) }""",
}  # fmt: skip


def parsed(text: str) -> Model:
    report = Report()
    model = build.parse(text, report)
    report.check()
    assert isinstance(model, Model)
    return model


def example(name: str) -> Model:
    report = Report()
    model = build.load(EXAMPLES / f"{name}.sg", report, restate=None)
    report.check()
    assert isinstance(model, Model)
    return model


def constant(o: op.Opinion, difference: torch.Tensor) -> None:
    """The difference of the values does not depend on what the groups train: only dropped terms are in it."""
    judging = {id(p) for group in o.judges for p in o.module.parameters_of(group)}
    with torch.no_grad():
        for p in (p for p in o.module.parameters() if id(p) not in judging):
            p += 0.05 * torch.randn_like(p)
    torch.testing.assert_close(op.compare(o), difference, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str) -> None:
    o = op.opinion(parsed(MODELS[name]))
    constant(o, op.compare(o))


@pytest.mark.parametrize("name", [*FILES, "vae", "bigan"])
def test_examples(name: str) -> None:
    op.compare(op.opinion(example(name), size=3))


@pytest.mark.parametrize(
    "name", ["vae", "aavae", "two_level_vae", "discrete_vae", "bits", "three levels", "ALI, stochastic"]
)
def test_value_is_exact_where_nothing_is_dropped(name: str) -> None:
    o = op.opinion(parsed(MODELS[name]) if name in MODELS else example(name), size=3)
    assert abs(float(op.compare(o))) < 1e-9


def test_dropped_terms_of_a_gan() -> None:
    """What Pyro counts and the generator's objective drops: 1/2 E_data log(1 - D(x)) (Eq. 7)."""
    o = op.opinion(parsed(f"model M {{ {GAN}  q_phi : x ~> y = mlp(5) }}"))
    dropped = 0.5 * torch.nn.functional.logsigmoid(-o.module.q_phi(o.batch["x"]).logits).mean()
    torch.testing.assert_close(op.compare(o), dropped.detach())


def test_score_function_in_expectation() -> None:
    """`reinforce` has no baseline here: the expected gradient over every draw is the enumerated one's."""
    text = """model M {{ x : real(4) = data  t : category(3) ~ Categorical
        p_theta : t -> x = mlp(7)  q_eta : x --> t = mlp(5) {} }}"""
    score, exact = (op.opinion(parsed(text.format(g)), size=1) for g in ("gradient reinforce", "gradient enumerate"))
    assert elbo(score.plan) == "Trace_ELBO" and elbo(exact.plan) == "TraceEnum_ELBO"
    total: dict[str, torch.Tensor] = {}
    probabilities = score.module.q_eta(score.batch["x"]).probs[0].detach()
    for value, probability in zip(torch.eye(3, dtype=torch.float64), probabilities, strict=True):
        with Fixed("t", value[None]):
            found = op.gradients(score, op.elbo(score)[0], ["theta", "eta"])
        total = {k: total.get(k, 0) + probability * g for k, g in found.items()}
    for key, g in op.gradients(exact, op.elbo(exact)[0], ["theta", "eta"]).items():
        torch.testing.assert_close(total[key], g)


class Fixed(pyro.poutine.messenger.Messenger):
    """A site of the guide takes a value instead of a sample."""

    def __init__(self, site: str, value: torch.Tensor) -> None:
        super().__init__()
        self.site, self.value = site, value

    def _pyro_sample(self, message: dict) -> None:
        if message["name"] == self.site and not message["done"]:
            message["value"], message["done"] = self.value, True


def arrows(o: op.Opinion, program: str) -> set[tuple[str, str]]:
    """The arrows that Pyro sees, those through a helper site of a program joined."""
    found = get_model_relations(getattr(o.module, program), (o.batch,), include_deterministic=True)["sample_sample"]
    names = {v.name for v in o.plan.model.variables}

    def above(site: str) -> set[str]:
        return {q for p in found[site] for q in ({p} if p in names else above(p))}

    return {(p, v.partition(".")[0]) for v in found for p in above(v) if not v.endswith((".KL", ".outer"))}


@pytest.mark.parametrize("name", [n for n in MODELS if n not in ("ALI, stochastic", "a VAE in the given branch")])
def test_arrows(name: str) -> None:
    """Pyro finds the drawn arrows: the solid ones in the model, the dashed ones in the guide."""
    o = op.opinion(parsed(MODELS[name]))
    for program, process in (("model", "generative"), ("guide", "inference")):
        drawn = {(p, f.target) for f in o.plan.model.factors if f.process == process for p in f.parents}
        assert arrows(o, program) == drawn, program


@pytest.mark.parametrize(
    "name", ["gan", "infogan", "vae_direct", "aae", "aavae", "ada", "cgan", "cvae", "two_level_vae", "discrete_vae"]
)
def test_arrows_of_examples(name: str) -> None:
    o = op.opinion(example(name), size=2)
    for program, process in (("model", "generative"), ("guide", "inference")):
        drawn = {(p, f.target) for f in o.plan.model.factors if f.process == process for p in f.parents}
        assert arrows(o, program) == drawn, program


def test_nothing_is_shared_with_the_objective() -> None:
    """`model` and `guide` use torch, pyro and the factor modules; of what the program defines, nothing else."""
    o = op.opinion(parsed(MODELS["enumerated and weighed"]))
    tree = ast.parse(o.text)
    defined = {n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    methods = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in ("model", "guide")]
    assert len(methods) == 2
    for node in (n for method in methods for n in ast.walk(method)):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                assert name in {f.attribute for f in o.plan.model.factors}
            case ast.Name(id=name):
                assert name not in defined


def test_reserved_names() -> None:
    """A net whose batch is a variable's name, and the other way round, are kept apart."""
    o = op.opinion(parsed(MODELS["names that the program uses"]))
    assert o.text.count('with pyro.plate("batch_", rows, dim=-1):') == 2
