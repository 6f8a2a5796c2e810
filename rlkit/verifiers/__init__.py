"""Judging answers: reading them off a text, mathematics, multiple choice, code and its sandbox."""
