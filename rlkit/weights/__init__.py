"""Models made of the weights of others: averages, interpolations, layers put back; nothing is trained.

average_models(["runs/a", "runs/b"]) -> Mixture        say what is to be made, checked as far as names go
write_merge(mixture, "runs/soup")                       stream the tensors, write a complete model directory
"""

from rlkit.weights.merge import write_merge
from rlkit.weights.mixture import Mixture, average_models, interpolate_models, restore_layers
from rlkit.weights.sources import Source, last_checkpoints, locate_source

__all__ = [
    "Mixture",
    "Source",
    "average_models",
    "interpolate_models",
    "last_checkpoints",
    "locate_source",
    "restore_layers",
    "write_merge",
]
