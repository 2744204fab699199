"""The figures of trained models, each beside its target: `python -m benchmarks.figures [gan] [infogan] [vae] [mnist]`.

Trains with the defaults; `mnist` needs the IDX folder as a data set of that name (see `schematic train --help`).
On two cores: GAN and InfoGAN three seeds of the embedded digits, three minutes each; VAE one minute; MNIST twenty.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import schematic as sg
from schematic.runtime.evaluate import evaluate

EXAMPLES = Path(__file__).parents[1] / "examples"
SEEDS = (0, 1, 2)
MNIST = 'x : unit(1, 28, 28) = data("image")'


def figures(file: str, seed: int, *, data: str = "digits", restate: str | None = None) -> dict[str, float]:
    """What `schematic evaluate` says of a run with the defaults, and the seconds that it was trained."""
    with TemporaryDirectory() as folder:
        model = sg.load(EXAMPLES / file, restate=restate)
        begun = time.monotonic()
        run = sg.train(model, data=data, out=Path(folder) / "run", seed=seed).run.path
        seconds = time.monotonic() - begun
        return {**evaluate(run), "seconds": seconds}


def adversarial(file: str) -> bool:
    """Samples of each seed, judged; whether the worst of them meet the targets."""
    passed = True
    print(f"\n{file}: 1,000 samples; targets: top >= 0.9, shares 0.03 to 0.25, Frechet <= a tenth of step 0's")
    for seed in SEEDS:
        f = figures(file, seed)
        ratio = f["frechet"] / f["frechet_before"]
        good = (
            f["top_probability"] >= 0.9 and f["largest_share"] <= 0.25 and f["smallest_share"] >= 0.03 and ratio <= 0.1
        )
        passed &= good
        print(
            f"  seed {seed}: top {f['top_probability']:.3f} (step 0: {f['top_probability_before']:.3f}), shares "
            f"{f['smallest_share']:.3f} to {f['largest_share']:.3f} ({f['smallest_share_before']:.3f} to "
            f"{f['largest_share_before']:.3f}), Frechet {f['frechet']:.1f} ({f['frechet_before']:.1f}; {ratio:.3f}), "
            f"classifier {f['classifier_accuracy']:.4f}, {f['seconds']:.0f} s{'' if good else '  MISSED'}",
            flush=True,
        )
    return passed


def density(file: str, target: float, **options: str) -> bool:
    """The bound on held-out records; whether it meets its target."""
    f = figures(file, 0, **options)
    good = f["bound"] >= target
    print(
        f"\n{file} {options or ''}: held-out bound {f['bound']:.2f} nats (target {target:g}), {f['seconds']:.0f} s"
        f"{'' if good else '  MISSED'}",
        flush=True,
    )
    return good


def main(names: list[str]) -> int:
    """0 if every target is met, else 1."""
    jobs = {
        "gan": lambda: adversarial("gan.sg"),
        "infogan": lambda: adversarial("infogan.sg"),
        "vae": lambda: density("vae.sg", -24.0),
        "mnist": lambda: density("vae.sg", -100.0, data="mnist", restate=MNIST),
    }
    unknown = [name for name in names if name not in jobs]
    if unknown:
        print(f"no figures for {', '.join(unknown)}; there are {', '.join(jobs)}", file=sys.stderr)
        return 2
    results = [jobs[name]() for name in names or ("gan", "infogan", "vae")]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
