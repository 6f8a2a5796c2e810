"""What counts as different: partitions of a group into classes, and what a group's classes say about its variety."""

from rlkit.diversity.answers import NO_ANSWER, cut_after_answer, read_answer
from rlkit.diversity.closure import PairwisePartition, close_pairs, false_merge_chance, label_by_first_seen
from rlkit.diversity.contract import judge_pairs, label_group, read_features, read_vectors
from rlkit.diversity.cross_encoder import CrossEncoder
from rlkit.diversity.embeddings import EMBEDDINGS, Embedding, HashedNgrams, SentenceEmbedding, resolve_embedding
from rlkit.diversity.group_metrics import summarise_groups
from rlkit.diversity.key_partitions import CanonicalExpression, FinalAnswer, NormalisedText
from rlkit.diversity.llm_judge import LlmJudge
from rlkit.diversity.ngrams import unique_ngram_share
from rlkit.diversity.overlap_partitions import EmbeddingPartition, EquationSet, NgramOverlap
from rlkit.diversity.partitions import PARTITIONS, Partition, resolve_partition

__all__ = [
    "EMBEDDINGS",
    "NO_ANSWER",
    "PARTITIONS",
    "CanonicalExpression",
    "CrossEncoder",
    "Embedding",
    "EmbeddingPartition",
    "EquationSet",
    "FinalAnswer",
    "HashedNgrams",
    "LlmJudge",
    "NgramOverlap",
    "NormalisedText",
    "PairwisePartition",
    "Partition",
    "SentenceEmbedding",
    "close_pairs",
    "cut_after_answer",
    "false_merge_chance",
    "judge_pairs",
    "label_by_first_seen",
    "label_group",
    "read_answer",
    "read_features",
    "read_vectors",
    "resolve_embedding",
    "resolve_partition",
    "summarise_groups",
    "unique_ngram_share",
]
