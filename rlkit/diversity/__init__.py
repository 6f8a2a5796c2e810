"""What counts as different: partitions of a group into classes, and what a group's classes say about its diversity."""

from rlkit.diversity.bleu import self_bleu
from rlkit.diversity.closure import PairwisePartition, close_pairs, false_merge_chance, label_by_first_seen
from rlkit.diversity.compression import compression_ratio
from rlkit.diversity.contract import judge_pairs, label_group, read_features, read_vectors
from rlkit.diversity.cosine import mean_cosine_distance, mean_cross_cosine
from rlkit.diversity.cross_encoder import CrossEncoder
from rlkit.diversity.cross_input import measure_across_prompts
from rlkit.diversity.embeddings import EMBEDDINGS, Embedding, HashedNgrams, SentenceEmbedding, resolve_embedding
from rlkit.diversity.formats import classify_format, dominant_share, effective_formats, format_shares, js_divergence
from rlkit.diversity.group_metrics import summarise_groups
from rlkit.diversity.key_partitions import CanonicalExpression, FinalAnswer, NormalisedText
from rlkit.diversity.lexical import (
    distinct_n,
    expectation_adjusted_distinct,
)
from rlkit.diversity.llm_judge import LlmJudge
from rlkit.diversity.meanings import semantic_entropy
from rlkit.diversity.overlap_partitions import EmbeddingPartition, EquationSet, NgramOverlap
from rlkit.diversity.partitions import PARTITIONS, Partition, resolve_partition
from rlkit.diversity.syntax_tree import SyntaxTree
from rlkit.diversity.vendi import vendi_score, vendi_scores_of_kernels
from rlkit.verifiers import NO_ANSWER, cut_after_answer, read_answer, split_reasoning

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
    "SyntaxTree",
    "classify_format",
    "close_pairs",
    "compression_ratio",
    "cut_after_answer",
    "distinct_n",
    "dominant_share",
    "effective_formats",
    "expectation_adjusted_distinct",
    "false_merge_chance",
    "format_shares",
    "js_divergence",
    "judge_pairs",
    "label_by_first_seen",
    "label_group",
    "mean_cosine_distance",
    "mean_cross_cosine",
    "measure_across_prompts",
    "read_answer",
    "read_features",
    "read_vectors",
    "resolve_embedding",
    "resolve_partition",
    "self_bleu",
    "semantic_entropy",
    "split_reasoning",
    "summarise_groups",
    "vendi_score",
    "vendi_scores_of_kernels",
]
