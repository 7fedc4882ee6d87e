"""Where a dataset is published: a repository on the Hub, a bucket, or a folder."""
