"""The explicit priors that an emitted program scores, a function each."""

from __future__ import annotations

from schematic.compiler.emit_text import number
from schematic.compiler.estimators import prior_of
from schematic.compiler.program import Plan


def prior_call(variable: str, like: str) -> str:
    return f"p_{variable}({like})"


def prior_functions(plan: Plan) -> list[list[str]]:
    """def p_z(like): the explicit priors that some summand scores."""
    found: dict[str, None] = {}
    for u in plan.updates:
        for t in u.terms:
            found.update((c.density.target, None) for c in t.calls if c.density.kind == "prior")
    return [prior_function(plan, name) for name in found]


def prior_function(plan: Plan, name: str) -> list[str]:
    v = plan.variable(name)
    p = prior_of(v.type, v.prior)
    rank = len(v.type.shape)
    like: dict[float, str] = {0: "torch.zeros_like(z)", 1: "torch.ones_like(z)"}
    arguments = ", ".join(like.get(a, f"torch.full_like(z, {number(a)})") for a in p.args)
    match p.family:
        case "Normal" | "Laplace" | "Uniform":
            code = f"dist.{p.family}({arguments}, validate_args=False)"
        case "Bernoulli":
            code = f"dist.Bernoulli({arguments}, validate_args=False)"
        case _:
            code = "OneHot(torch.zeros_like(z))"
    code += f".to_event({rank})" if rank else ""
    shown = f"{p.family}({', '.join(f'{a:g}' for a in p.args)})" if p.args else p.family
    return [
        f"def {prior_call(name, 'z: Tensor')} -> dist.Distribution:",
        f'    """The prior of {name}, {shown}, in the shape of z."""',
        f"    return {code}",
    ]
