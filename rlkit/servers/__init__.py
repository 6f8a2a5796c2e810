"""Asking an endpoint: what is sent, what to do when it is busy, silent or garbled, and what was asked before."""
