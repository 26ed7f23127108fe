"""The `approvals` command. Nothing is imported before `main` runs, because nothing would handle a Ctrl-C meanwhile, and because each
process that the command spawns imports this module too."""


def main() -> None:
    """Runs the command."""
    try:
        from .interrupts import leaving_when_interrupted

        with leaving_when_interrupted():
            from .app import run
        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # as Typer says it: 128 + SIGINT
    except ImportError as error:
        # PyPI's `Events` installs a top-level `events` too, and the one that comes last silently replaces the other.
        if error.name is None or error.name.partition(".")[0] != "events":
            raise
        raise ImportError(
            "the package `events` here is not approval-ledger's: another distribution (PyPI's `Events`, which opensearch-py "
            "brings) installed one of that name over it. Give approval-ledger an environment of its own: `pipx install`, "
            "`uv tool install`",
            name=error.name,
        ) from error
