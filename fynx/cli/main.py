"""The program ``fynx``: finds the command, runs it, and turns failures into words and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

from fynx import __version__
from fynx.cli.failure import exit_code, say
from fynx.kernel.words import did_you_mean

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "fynx.cli.init:init",
        "check": "fynx.cli.check:check",
        "schema": "fynx.cli.schema:schema",
        "run": "fynx.cli.run:run",
        "forward": "fynx.cli.forward:forward",
        "up": "fynx.cli.control:up",
        "down": "fynx.cli.control:down",
        "rekey": "fynx.cli.control:rekey",
        "dummies": "fynx.cli.control:dummies",
        "reload": "fynx.cli.reload:reload",
        "plan": "fynx.cli.reload:plan",
        "status": "fynx.cli.control:status",
        "workers": "fynx.cli.workers:workers",
        "logs": "fynx.cli.follow:logs",
        "events": "fynx.cli.follow:events",
        "doctor": "fynx.cli.doctor:doctor",
        "psk": "fynx.cli.psk:psk",
        "plugins": "fynx.cli.plugins:plugins",
        "algorithms": "fynx.cli.algorithms:algorithms",
        "demo": "fynx.cli.demo:demo",
    }
)
"""Built-in commands: imported when they are asked for, so that ``fynx psk gen`` does not pay for a daemon."""

HELP: Mapping[str, str] = MappingProxyType(
    {
        "init": "Write a commented fynx.yaml and the matching swanctl.conf.",
        "check": "Check a configuration: all errors at once, nothing is started.",
        "schema": "Print the JSON schema of the configuration.",
        "run": "Run in the foreground.",
        "forward": "Local ports and a SOCKS5 proxy through a tunnel, without root.",
        "up": "Bring a peer up.",
        "down": "Take a peer down.",
        "rekey": "Replace the keys of a peer or of one child.",
        "dummies": "Send packets that say nothing.",
        "reload": "Apply a changed configuration; what is unchanged goes on.",
        "plan": "Say what a changed configuration would do, and do nothing.",
        "status": "Show peers and their Child SAs.",
        "workers": "Show the threads of the data plane, restart one.",
        "logs": "Show or change what a running host logs.",
        "events": "Follow the events of a running host.",
        "doctor": "Look at this machine: privileges, devices, ports, libraries.",
        "psk": "Pre-shared keys.",
        "plugins": "Installed and enabled plugins.",
        "algorithms": "Algorithms that the enabled plugins offer.",
        "demo": "An encrypted tunnel on this machine, with proof.",
    }
)
"""One line each for ``fynx --help``, which imports none of them."""


class Program(click.Group):
    """Built-in commands by name; any other is looked for among the plugins of the default configuration."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click gives it
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name].partition(":")
            found: object = getattr(importlib.import_module(module), attribute)
        else:
            from fynx.cli.plugins import plugin_command

            found = plugin_command(cmd_name)
        return found if isinstance(found, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            words = error.message.rstrip(".") + (did_you_mean(args[0], COMMANDS) or ".")
            raise click.UsageError(words, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, HELP[name]) for name in COMMANDS])


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 not running or port in use, 4 permission or missing package, "
    "5 configuration, 6 time-out, 7 partly, 130 interrupted.",
)
@click.version_option(__version__, prog_name="fynx")
def program() -> None:
    """IKEv2 and ESP (IPsec) in user space. Plugins may add commands."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: never returns, never shows a traceback for a failure that has a name."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    try:
        outcome = program.main(
            args=None if arguments is None else list(arguments), prog_name="fynx", standalone_mode=False
        )
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader went away (fynx status | head): nothing more to say, and Python must not say so at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the edge of the program: what has no name and no exit code is a bug and goes on
        code = exit_code(error)
        if code is None:
            raise
        say(error)
        return code
    return outcome if isinstance(outcome, int) else 0


__all__ = ["COMMANDS", "main", "program", "run"]
