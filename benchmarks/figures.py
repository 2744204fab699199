"""docs/catalogue/runs/: what each example reaches in a real run. `python -m benchmarks.figures [NAME ...]` writes
NAME.json, the figures, and NAME.png, the samples; without names for every example, some hours on two cores.

MNIST, USPS, horses and deer are found in the folder that $SCHEMATIC_DATA names (mnist/, usps16.npz, horse_deer32.npz).
A row of RUNS says how an example is trained and by what figure its purpose is measured; the commands are those that
stand in NAME.json. Runs are left in runs/figures/.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from schematic.runtime.folder import Run
from schematic.runtime.routes import spec
from schematic.runtime.sample import reload
from schematic.runtime.samples import classified, generate, pictures, returned

ROOT = Path(__file__).parents[1]
EXAMPLES, OUT, KEPT = Path("examples"), Path("docs/catalogue/runs"), Path("runs/figures")
MACHINE = "2 CPU cores"
RECORDS, SHOWN, COLOURED = 512, 64, 5  # in a picture: read, shown in grey, shown in colour


@dataclass(frozen=True)
class Beside:
    """Another run that the example's is held against, with the same seeds and evaluation; `file` is another example.

    The target of the example's first figure is `times` that of this run `plus` so much; without `times` it is its own.
    """

    name: str
    options: str
    file: str = ""
    times: float | None = None
    plus: float = 0.0


@dataclass(frozen=True)
class Row:
    """How an example is trained and judged. The first of `figures` measures its purpose; `targets` are what they must
    reach."""

    figures: tuple[str, ...]
    train: str = "--steps 800"
    judge: str = ""
    targets: tuple[tuple[str, float], ...] = ()
    seeds: int = 1
    beside: Beside | None = None


MNIST = "--data mnist --with 'x : unit(1, 28, 28) = data(\"image\")"
SMALL = f"{MNIST} p_theta = mlp(200) q_eta = mlp(200)'"  # networks that two cores train in minutes
SEMI = f"{MNIST} p_theta = mlp(128) q_eta.z = mlp(128) q_eta.t = dcgan(32) weight 50'"
CONSTANT = "train { phi = adam(5e-4, 0.5, 0.999) theta, eta = adam(1e-3, 0.5, 0.999) }"  # as a longer run begins
GENERATOR = Row(("frechet", "modes", "inception_score"))
DENSITY = Row(("elbo", "iw_bound_50", "frechet"), judge="--k 50")
CONDITIONAL = ("conditional_accuracy", "frechet", "modes")
CLASSES = Row(("purity", "elbo", "frechet"))

RUNS = {
    "aacvae": Row(("elbo", "conditional_accuracy", "frechet")),
    "aae": Row(("reconstruction_error", "frechet", "modes")),
    "aavae": DENSITY,
    "aasvae": Row(("accuracy", "elbo", "conditional_accuracy"), "--steps 800 --labels 10%"),
    "ada": Row(
        ("accuracy_usps", "accuracy_mnist"),
        seeds=5,
        train="",
        beside=Beside("source only", "--with 'q_phi : x ~> y weight 0'", times=1.0, plus=0.1),
    ),
    "avb": Row(("frechet", "modes", "reconstruction_error")),
    "beta_vae": Row(("elbo", "reconstruction_error", "frechet")),
    "bigan": Row(("reconstruction_error", "frechet", "modes")),
    "binary_vae": DENSITY,
    "cgan": Row(CONDITIONAL, "", targets=(("conditional_accuracy", 0.97),)),
    "cvae": Row(("conditional_accuracy", "elbo", "frechet")),
    "cyclegan": Row(
        ("reconstruction_error", "reconstruction_error_x", "reconstruction_error_z", "translated_x", "translated_z"),
        "",
        beside=Beside("first epoch", f"--epochs 1 --with '{CONSTANT}'", times=0.5),
    ),
    "discrete_vae": CLASSES,
    "gan": GENERATOR,
    "helmholtz": DENSITY,
    "hinge_gan": replace(GENERATOR, train=""),
    "infogan": Row(("reconstruction_error", "frechet", "modes")),
    "infogan_code": Row(("purity", "frechet", "modes")),
    "iwae": Row(
        ("iw_bound_100", "elbo", "iw_bound_16"),
        f"{SMALL} --epochs 4",
        "--k 16 --k 100 --records 2000",
        beside=Beside("VAE", f"{SMALL} --epochs 4", file="vae_direct.sg", times=1.0),
    ),
    "iwcgan": Row(CONDITIONAL, ""),
    "iwcvae": Row(("iw_bound_16", "conditional_accuracy", "elbo")),
    "iwgan": GENERATOR,
    "learned_prior_vae": CLASSES,
    "lsgan": GENERATOR,
    "mad_gan": GENERATOR,
    "mode_gan": Row(("frechet", "modes", "reconstruction_error")),
    "multimodal_vae": Row(("elbo", "reconstruction_error", "frechet")),
    "pm": Row(("reconstruction_error",)),
    "svae": Row(
        ("accuracy", "elbo", "conditional_accuracy"),
        f"{SEMI} --batch 128 --labels 10% --epochs 6",
        "--records 1000",
        targets=(("accuracy", 0.96),),
        beside=Beside("1% of the labels", f"{SEMI} --batch 128 --labels 1% --epochs 2"),
    ),
    "two_level_vae": DENSITY,
    "vae": DENSITY,
    "vae_direct": DENSITY,
    "vae_gan": Row(("frechet", "elbo", "modes")),
    "vae_gan_features": Row(("frechet", "modes", "inception_score")),
    "wgan_gp": GENERATOR,
}


@dataclass(frozen=True)
class Judged:
    """The runs of one set of options: their commands, figures by name, and what training took."""

    commands: tuple[str, ...]
    figures: dict[str, dict[str, Any]]
    steps: int
    seconds: float


def run(name: str, row: Row) -> dict[str, Any]:
    """Trains and judges an example; writes NAME.json and NAME.png. Returns what NAME.json holds."""
    own = judged(EXAMPLES / f"{name}.sg", name, row, row.train)
    other = row.beside and judged(
        EXAMPLES / (row.beside.file or f"{name}.sg"), f"{name}-beside", row, row.beside.options
    )
    found = {
        "command": "\n".join((*own.commands, *(other.commands if other else ()))),
        "figures": [f for n in row.figures if n in own.figures for f in _figures(n, row, own, other)],
        "steps": own.steps,
        "seconds": round(own.seconds),
        "machine": MACHINE,
        "seeds": list(range(row.seeds)),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    (OUT / f"{name}.png").write_bytes(picture(folder(name, 0)))
    return found


def _figures(figure: str, row: Row, own: Judged, other: Judged | None) -> list[dict[str, Any]]:
    """The example's figure with its target, and that of the run beside it."""
    target, beside = dict(row.targets).get(figure), []
    if other is not None and row.beside is not None and figure in other.figures:
        there = other.figures[figure]
        beside = [{**there, "name": f"{figure}, {row.beside.name}", "target": None}]
        if figure == row.figures[0] and row.beside.times is not None:
            target = rounded(row.beside.times * there["value"] + row.beside.plus)
    return [{**own.figures[figure], "target": target}, *beside]


def judged(file: Path, name: str, row: Row, options: str) -> Judged:
    """Trains a file with each seed, then judges the runs together."""
    folders = [folder(name, seed) for seed in range(row.seeds)]
    commands = [
        f"schematic train {file} {options} --seed {seed} --out {at}".replace("  ", " ")
        for seed, at in enumerate(folders)
    ]
    commands.append(f"schematic evaluate {' '.join(map(str, folders))} {row.judge}".rstrip())
    for command in commands[:-1]:
        schematic(command)
    figures = json.loads(schematic(f"{commands[-1]} --json"))
    configs = [json.loads((ROOT / at / "config.json").read_text()) for at in folders]
    return Judged(
        tuple(commands),
        {f["name"]: {k: rounded(v) for k, v in f.items()} for f in figures},
        configs[0]["steps"],
        fmean(config["seconds"] for config in configs),
    )


def picture(at: Path) -> bytes:
    """What shows a run best: translations, samples, or records by predicted class."""
    trained, model = reload(at), spec(Run(at))
    batch = trained.held_out(COLOURED, trained.device)
    assert model is not None, "the command line gives every run its model"
    there_and_back = returned(trained.program, model, batch, 0, COLOURED)
    if len(there_and_back) > 1:
        return next(iter(there_and_back.values()))
    batch = trained.held_out(RECORDS, trained.device)
    samples = pictures({name: v[:SHOWN] for name, v in generate(trained.program, RECORDS, batch, 0).items()})
    return next(iter((samples or classified(trained.program, model, batch, 0)).values()))


def folder(name: str, seed: int) -> Path:
    return KEPT / f"{name}-{seed}"


def rounded(value: Any) -> Any:
    """Six digits of a number are enough to hold the next run against."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def schematic(command: str) -> str:
    """Runs a command line from the repository's root; its standard output."""
    arguments = [sys.executable, "-m", *shlex.split(command)]
    return subprocess.run(arguments, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout


def main(names: Sequence[str]) -> int:
    """0 if every target is met, else 1."""
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        print(f"no run of {', '.join(unknown)}; there are {', '.join(RUNS)}", file=sys.stderr)
        return 2
    missed = 0
    for name in names or RUNS:
        found = run(name, RUNS[name])
        for f in found["figures"]:
            target = "" if f["target"] is None else f", target {f['target']:.4g}"
            print(f"{name}: {f['name']} {f['value']:.4g}, before {f['before']:.4g}{target}", flush=True)
            missed += not met(f)
    return int(missed > 0)


def met(figure: dict[str, Any]) -> bool:
    """Whether a figure has reached its target, seen from step 0."""
    value, before, target = figure["value"], figure["before"], figure["target"]
    return target is None or (value >= target if target >= before else value <= target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
