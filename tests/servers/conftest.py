"""The judge over HTTP and the classifier on disk, for every test of this folder."""

from tests.servers.judging import server, tiny_classifier

__all__ = ["server", "tiny_classifier"]
