"""``python -m vskd``."""

from vskd.cli import main

if __name__ == "__main__":
    main()
