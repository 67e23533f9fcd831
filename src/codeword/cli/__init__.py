"""The command line: the program `codeword` (also ``python -m codeword``)."""


def main() -> None:
    """Run the program on `sys.argv` and exit."""
    from codeword.cli.app import run

    run()
