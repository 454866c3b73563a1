"""The command ``onepass``, which is also ``python -m onepass``."""

from onepass._interrupts import leaving_at_once


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback from the first moment on."""
    with leaving_at_once():
        from onepass.cli import main as run  # noqa: PLC0415
    run()


if __name__ == "__main__":
    main()
