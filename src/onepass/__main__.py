"""Entry point of the ``onepass`` command and of ``python -m onepass``."""

from onepass._interrupts import leaving_at_once


def main() -> None:
    """Run the command line; from the start, Ctrl-C ends it without a traceback."""
    with leaving_at_once():
        from onepass.cli import main as run  # noqa: PLC0415
    run()


if __name__ == "__main__":
    main()
