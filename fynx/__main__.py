"""``python -m fynx``: the same as the program ``fynx``."""

from fynx.cli.main import main

main()
