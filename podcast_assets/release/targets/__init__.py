"""Release targets: a repository on the Hub, a bucket, or a folder."""
