"""``python -m evermodel``: the command line, where the script ``evermodel`` is not on the path."""

from evermodel.cli import main

main()
