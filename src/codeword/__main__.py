"""``python -m codeword``."""

from codeword.cli import main

main()
