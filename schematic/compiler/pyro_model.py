"""The model: what the solid side scores, over all rows of the stacked batch."""

from __future__ import annotations

from dataclasses import dataclass

from schematic.compiler.branches import Given, Outer
from schematic.compiler.emit_text import number, quoted, unique
from schematic.compiler.pyro_program import Program
from schematic.compiler.pyro_reading import Score
from schematic.graph.model import Factor, Variable


@dataclass
class Model(Program):
    """The solid side scores."""

    def method(self) -> list[str]:
        estimator = self.r.elbo
        branches = len(self.r.graph.branches)
        mean = "batch" if branches == 1 else f"({branches} * batch)"
        return self.frame("model", f"The solid side scores: -{estimator}(model, guide) / {mean} is the objective.")

    def write(self) -> None:
        if self.r.weighed:
            self.outer()
        for v in self.r.variables:
            self.value(v.name)
        if self.r.y and not self.r.weighed:
            self.judge()

    def value(self, variable: str) -> str:
        """The local that holds a variable, its site written first where it is not there yet."""
        if variable in self.done:
            return self.done[variable]
        v, way = self.r.graph.variables[variable], self.r.origins(variable)[0]
        if isinstance(way, Factor) and way.process == "generative":
            for p in self.r.graph.parents(way):
                self.value(p)
            if variable in self.done:  # its own parents are scored from it
                return self.done[variable]
        if variable in self.open:  # it scores what it is scored from: its value first
            self.done[variable] = self.known(v) or self.name(v.name)
            if not self.known(v):
                self.site(v.name, self.idle(v), mask="False")
            return self.done[variable]
        self.open.append(variable)
        self.variable(v)
        self.open.remove(variable)
        return self.done.setdefault(variable, self.name(variable))

    def variable(self, v: Variable) -> None:
        """The site of a variable, and one more for each further density that scores it."""
        way = self.r.origins(v.name)[0]
        if isinstance(way, Factor) and way.process == "generative":
            name = self.name(v.name)
            self.lines.append(f"{name} = {self.call(way)}  # a solid arrow that computes")
            self.site(v.name, self.delta(v, name), f"obs={name}")
            self.done[v.name] = name
        elif any(self.circular(v, s) for s in self.r.scored(v.name)):
            self.done[v.name] = self.name(v.name)
            self.site(v.name, self.idle(v), mask="False")
        for s in self.r.scored(v.name):
            self.score(v, s)
        if v.name in self.done:
            return
        known = self.known(v)
        if known:
            self.site(v.name, self.delta(v, known), f"obs={known}")
        else:
            self.site(v.name, self.idle(v), mask="False")

    def score(self, v: Variable, s: Score) -> None:
        """One density of a variable, in the cells that have it."""
        if s.factor is not None and self.r.y in s.factor.parents:
            self.judge()
        fn = self.prior(v) if s.factor is None else self.call(s.factor)
        cells = self.r.cells_of(s)
        left = [i for i in cells if i not in self.taken(v, s)]
        own = s.factor is not None and self.r.y in s.factor.parents and left == cells
        rows = "False" if not left else "" if own else self.here(left)
        known, again = self.known(v), v.name in self.done
        if s.factor is not None:
            fn = self.masked(fn, s.factor, cells)
        key = f"{v.name}.{s.factor.attribute if s.factor else 'prior'}" if again and v.name in self.sites else v.name
        key = unique(key, self.sites)
        obs = [f"obs={self.done[v.name] if again else known}"] if known or again else []
        masked = s.factor is not None and self.r.y in s.factor.parents
        self.site(key, fn if obs else self.wrap(fn, v, masked), *obs, scale=self.scale(s.scale), mask=rows,
                  into=None if again else "")  # fmt: skip
        self.done.setdefault(v.name, self.name(v.name))

    def circular(self, v: Variable, s: Score) -> bool:
        """The density of an enumerated variable reads what the guide draws from it: Pyro takes no such site."""
        ways = self.r.origins(v.name)
        enumerated = any(isinstance(w, Factor) and self.how(w) == "enumerate" for w in ways)
        return enumerated and s.factor is not None and any(self.r.drawn_from(p, v.name) for p in s.factor.parents)

    def taken(self, v: Variable, s: Score) -> set[int]:
        """The cells in which the guide holds this density in a divergence in closed form."""
        drawn = (w for w in self.r.origins(v.name) if isinstance(w, Factor) and w.process == "inference")
        pairs = ((w, self.pair(w)) for w in drawn if self.apart(w))
        name = s.factor.name if s.factor else None
        return {i for w, p in pairs if p is not None and p.factor == name for i in self.r.where(v.name, w)}

    def known(self, v: Variable) -> str:
        """The data that a variable stands at in every row, '' where the guide draws it."""
        ways = self.r.origins(v.name)
        if any(isinstance(w, Outer) for w in ways):
            return self.name(f"{v.name}.outer")
        return self.fields(v) if all(isinstance(w, Given) and v.data is not None for w in ways) else ""

    def outer(self) -> None:
        """The outer sample as the guide drew it, y as the rows have it, and the weight of every row."""
        for v in self.r.variables:
            if any(isinstance(w, Outer) for w in self.r.origins(v.name)):
                if self.r.random_outer(v.name):
                    self.site(f"{v.name}.outer", self.idle(v), mask="False")
                else:
                    self.lines.append(f"{self.name(f'{v.name}.outer')} = {self.outer_data(v)}")
        self.site(self.r.y or "", self.even(), f"obs={self.y}", mask="False")
        if self.weighs:
            b = self.r.graph.blue[0]
            values = ", ".join(self.name(f"{p}.outer") for p in self.r.graph.parents(b))
            self.lines.append(f"weight = {self.weight(f'self.{b.attribute}({values}).logits')}")

    def outer_data(self, v: Variable) -> str:
        assert v.data is not None
        fields = [v.data.fields[(c.origin or 0) if v.data.given else 0] for c in self.r.cells]
        needed = [v.name in c.needed for c in self.r.cells]
        blank = self.blank(v)
        return self.stacked([f"batch[{quoted(f)}]" if n else blank for f, n in zip(fields, needed, strict=True)])

    def judge(self) -> None:
        """Every row's own y under b^r, the reverse of each discriminator."""
        if self.r.weighed or self.r.y is None or self.r.y in self.done or self.r.y in self.open:
            return
        self.open.append(self.r.y)
        for i, b in enumerate(self.r.graph.blue):
            given = self.call(b)
            heat = "" if b.temperature == 1 else f" / {number(b.temperature)}"
            fn = f"dist.Bernoulli(logits=-{given}.logits{heat}, validate_args=False)"
            key = f"{self.r.y}.{b.attribute}" if i else self.r.y
            self.site(key, fn, f"obs={self.y}", scale="" if b.weight == 1 else number(b.weight), into=None if i else "")
        if not self.r.graph.blue:
            self.site(self.r.y, self.even(), f"obs={self.y}", mask="False")
        self.done[self.r.y] = self.y
        self.open.remove(self.r.y)
