"""Every audited file over seeds and sizes: `python tests/audit/campaign.py --seeds N` tells what was said wrongly."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cases import CORRECT, DEFECTS, SIZES, asked, said
from fleet import Fleet


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--sizes", type=int, default=len(SIZES))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    fleet, wrong, count = Fleet(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for c in (c for c in (*CORRECT, *DEFECTS) if options.only in c.name):
            began = time.time()
            for code, side in SIZES[: options.sizes]:
                file = Path(folder, f"{c.name}.py")
                file.write_text(c.text(code, side))
                for seed in range(options.first, options.first + options.seeds):
                    answer = fleet.ask(
                        {
                            **asked(c.against, code, side),
                            "losses": str(file),
                            "adapter": None,
                            "seed": seed,
                            "task": "audit",
                        }
                    )
                    found = said(answer)
                    count += 1
                    if found != c.expected:
                        wrong += 1
                        print(f"{c.name} size {code}, {side} seed {seed}: {found}, not {c.expected}", flush=True)
            print(f"{c.name}: {time.time() - began:.1f} s", file=sys.stderr, flush=True)
    fleet.close()
    print(f"{count} audits, {wrong} wrong verdicts")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
