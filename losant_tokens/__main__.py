"""`python -m losant_tokens` is `losant-tokens`."""

from losant_tokens.cli import main

main()
