"""`python -m losant_tokens.cli` is `losant-tokens`."""

from losant_tokens.cli import main

main()
