"""Podcast feeds: subscriptions, polling, new episodes and the rights of publishers."""
