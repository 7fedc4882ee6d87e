"""Where a dataset is published: a repository on the Hub, or a folder."""
