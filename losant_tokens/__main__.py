"""Run `losant-tokens` as `python -m losant_tokens`."""

from losant_tokens.cli import main

main()
