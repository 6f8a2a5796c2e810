"""Processes that run what may hang or crash, and the protocol with them."""
