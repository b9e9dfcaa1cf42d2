"""`python -m dropledger`: the command line."""

from dropledger.handlers.cli.main import main

main()
