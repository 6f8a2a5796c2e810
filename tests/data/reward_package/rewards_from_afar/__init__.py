"""Rewards that come with a package of their own."""
