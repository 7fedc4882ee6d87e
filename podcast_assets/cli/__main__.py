"""`python -m podcast_assets.cli`: the same as the command `podcast-assets`."""

from podcast_assets.cli.main import main

if __name__ == "__main__":
    main()
