"""Run the command `podcast-assets` as `python -m podcast_assets.cli`."""

from podcast_assets.cli.main import main

if __name__ == "__main__":
    main()
