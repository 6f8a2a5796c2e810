"""What counts as different: partitions of a group into classes, and what a group's classes say about its variety."""

from rlkit.diversity.embeddings import EMBEDDINGS, Embedding, HashedNgrams, SentenceEmbedding, resolve_embedding
from rlkit.diversity.group_metrics import summarise_groups
from rlkit.diversity.partitions import (
    PARTITIONS,
    CanonicalExpression,
    NormalisedText,
    Partition,
    label_by_first_seen,
    resolve_partition,
)

__all__ = [
    "EMBEDDINGS",
    "Embedding",
    "HashedNgrams",
    "SentenceEmbedding",
    "resolve_embedding",
    "PARTITIONS",
    "CanonicalExpression",
    "NormalisedText",
    "Partition",
    "label_by_first_seen",
    "resolve_partition",
    "summarise_groups",
]
