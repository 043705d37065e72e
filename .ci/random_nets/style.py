"""What a whole random network leans to, drawn once for each."""
from dataclasses import dataclass


@dataclass
class Style:
    # Chance of a layer with dead filters.
    dead: float
    # Chance of a layer whose outputs are of quite another size.
    odd_scale: float
    # Chance of an activation with bounds or slopes that nobody would choose.
    odd_activation: float
    # Blocks of the trunk.
    blocks: int
    # Most channels.
    width: int


def draw(random):
    return Style(
        dead=float(random.choice([0.0, 0.05, 0.4], p=[0.4, 0.4, 0.2])),
        odd_scale=float(random.choice([0.0, 0.1, 0.5], p=[0.5, 0.35, 0.15])),
        odd_activation=float(random.choice([0.1, 0.4, 0.8])),
        blocks=int(random.randint(1, 8)),
        width=int(random.choice([6, 12, 24])),
    )
