"""Rounds: draw from the current model, keep what is new in an archive, fine-tune on it, evaluate, and again.

OUT/recipe.yaml, run.json   as of every run; a step is a round
OUT/rounds.json             one entry a finished round, the base first
OUT/base/eval/              the base on the held-out problems
OUT/round-1/draws/          samples of the training problems
OUT/round-1/archive.jsonl   all solutions found so far
OUT/round-1/sft.yaml, sft/  a run of kind sft: `model/`, and `eval/` on the held-out problems
OUT/model/                  the last round's model
OUT/report.html             all rounds against the base
OUT/logs/                   what the stages said
"""
