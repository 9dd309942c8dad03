"""What the suite has seen, for the line it ends with."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

OUTCOMES = ("refused", "repaired", "unharmed", "fault")


@dataclass
class Tally:
    """Outcomes of all cases of this session.

    Attributes:
        outcomes: Kind -> outcome -> count.
        slowest: Seconds, kind and mutation of the slowest case.
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    slowest: tuple[float, str, str] = (0.0, "", "")

    def add(self, kind: str, said: str, outcome: str, seconds: float) -> None:
        """Count one case."""
        self.outcomes[kind][outcome] += 1
        self.slowest = max(self.slowest, (seconds, kind, said))

    def lines(self) -> list[str]:
        """The summary, one line a kind and one for all."""
        total: Counter[str] = Counter()
        lines = []
        for kind, outcomes in sorted(self.outcomes.items()):
            total += outcomes
            lines.append(f"  {kind:<28} {_told(outcomes)}")
        seconds, kind, said = self.slowest
        lines.append(f"fuzz: {_told(total)}; slowest {seconds:.2f} s ({kind}: {said[:60]})")
        return lines


def _told(outcomes: Counter[str]) -> str:
    counts = ", ".join(f"{outcomes[outcome]:>4} {outcome}" for outcome in OUTCOMES)
    return f"{outcomes.total():>5} cases: {counts}"


TALLY = Tally()
