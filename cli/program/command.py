"""Commands: the base classes with shared options, examples in the help, and error handling."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import cleandoc
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit, NoArgsIsHelpError, NoSuchCommand

from cli.exits import DONE, INTERRUPTED, PIPE_CLOSED, TRY_LATER, USAGE, exit_code_of_error
from cli.printing.option_names import as_typed
from cli.printing.output import Output
from cli.printing.progress import DETACHED, GoesOn
from domain.errors import InvalidInput, LocksideError, Unavailable

if TYPE_CHECKING:
    import lockside

PROGRAM = "lockside"

_WATCH = "watch"

_DEFAULTS = {"tenant": "LOCKSIDE_TENANT or demo", "actor": "LOCKSIDE_ACTOR or admin"}
"""Where the values of the shared options come from when they aren't typed."""

_HELP = {"padding_helptext_first_line": (0, 0, 1, 0), "text_paragraph_linebreaks": "\n\n"}


class Misused(LocksideError):
    """The command line can't be parsed."""

    code = "invalid_input"


class Invocation:
    """The state of one call of the command line: who acts, how to print, what was called."""

    def __init__(self) -> None:
        """Act for the person that the environment names, and print for people."""
        self.tenant: str | None = None
        self.actor: str | None = None
        self.output = Output()
        self.command: click.Command | None = None
        self.names: dict[str, str] = {}  # what errors call a field, before its option

    @contextmanager
    def connect(self) -> Iterator["lockside.Session"]:
        """Yield a session that acts for the person of `--tenant` and `--actor`."""
        import lockside

        quieten()
        with lockside.connect(tenant=self.tenant, actor=self.actor) as site:
            yield site

    def with_typed_options(self, error: LocksideError) -> LocksideError:
        """Return an error that names the typed options in place of fields."""
        if isinstance(error, InvalidInput):
            return as_typed(error, self.command, self.names)
        return error


class Command(click.RichCommand):
    """A command with the shared options and with examples in its help."""

    def __init__(self, *args: Any, examples: str = "", **more: Any) -> None:
        """Make the command; *examples* are shown unchanged below its description."""
        more["help"] = _with_examples(more.get("help"), examples)
        more["context_settings"] = {"rich_help_config": _HELP}
        super().__init__(*args, **more)
        self.params += _shared_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors will name its options."""
        invocation = ctx.find_object(Invocation)
        if invocation is not None:
            invocation.command = self
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if self.name != _WATCH:
                raise
            # Ctrl-C while watching stops nothing, not even before the first progress.
            raise GoesOn(operation_id=ctx.params["operation_id"], why=DETACHED) from None


class Group(click.RichGroup):
    """A resource type with its verbs."""

    command_class = Command

    def __init__(self, *args: Any, examples: str = "", **more: Any) -> None:
        """Make the group; *examples* are shown unchanged below its description."""
        more["help"] = _with_examples(more.get("help"), examples)
        more["context_settings"] = {"rich_help_config": _HELP}
        super().__init__(*args, **more)
        self.params += _shared_options()

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the commands in the order in which they were added, not alphabetically."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names; for an unknown one suggest similar ones."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            # click itself suggests only added commands, not shortcuts.
            names = self.list_commands(ctx)
            raise NoSuchCommand(error.command_name, possibilities=names, ctx=ctx) from None

    def main(self, args: Sequence[str] | None = None, *_: Any, **more: Any) -> Any:
        """Run a command and end the program with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        self._main_shell_completion(more, PROGRAM)
        invocation = Invocation()

        def run() -> Any:
            with self.make_context(PROGRAM, words, obj=invocation) as context:
                return self.invoke(context)

        sys.exit(_exit_code(run, invocation, words))


Group.group_class = Group


def _exit_code(run: Callable[[], Any], invocation: Invocation, words: Sequence[str]) -> int:
    # If parsing fails, the option --json may not have been parsed yet.
    output = Output(as_json="--json" in words)
    try:
        code = _run_and_report(run, invocation, output)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the pipe has closed it.
        _leave_stdout()
        return PIPE_CLOSED
    except OSError as error:
        if not _is_stdout_broken():
            raise
        _leave_stdout()
        message = f"Standard output can't be written: {error.strerror}. Make room and try again."
        Output().refuse(Unavailable(message=message))
        return TRY_LATER
    return code


def _run_and_report(run: Callable[[], Any], invocation: Invocation, output: Output) -> int:
    try:
        code = run()
    except Exit as ended:
        return ended.exit_code
    except LocksideError as error:
        output.refuse(error if output.as_json else invocation.with_typed_options(error))
        return exit_code_of_error(error.code)
    except click.UsageError as error:
        return _report_misuse(error, output)
    except (click.Abort, KeyboardInterrupt):
        output.note("Stopped.")
        return INTERRUPTED
    except Exception as error:
        # A bug: people see its traceback, programs get valid JSON as well.
        if output.as_json and not isinstance(error, BrokenPipeError):
            output.json({"error": "bug", "message": repr(error), "retryable": False})
        raise
    return code if isinstance(code, int) else DONE


def _is_stdout_broken() -> bool:
    # An OSError doesn't say which file couldn't be written: writing one more character shows it.
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _leave_stdout() -> None:
    # Otherwise Python would fail again at exit, when it flushes the buffer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_misuse(error: click.UsageError, output: Output) -> int:
    is_bare = isinstance(error, NoArgsIsHelpError)
    if is_bare and not output.as_json:
        sys.stdout.write(f"{error.message}\n")
        return USAGE
    message = "no command was given." if is_bare else error.format_message()
    help_command = f" See `{error.ctx.command_path} --help`." if error.ctx else ""
    output.refuse(Misused(message=f"{message}{help_command}"))
    return USAGE


def _with_examples(text: str | None, examples: str) -> str:
    # click doesn't wrap the lines after a \b.
    shown = indent(dedent(examples).strip(), "$ ")
    return f"{cleandoc(text or '')}\n\n\b\nExamples:\n{shown}"


def _shared_options() -> list[click.Parameter]:
    def of_session(context: click.Context, option: click.Parameter, value: Any) -> None:
        invocation = context.find_object(Invocation)
        if invocation is None or value is None or value is False:
            return
        if option.name == "json":
            invocation.output.as_json = True
        elif not value.strip():
            expected = f"a name; leave the option out for {_DEFAULTS[str(option.name)]}"
            raise InvalidInput(field=option.opts[0], got=value, expected=expected)
        else:
            setattr(invocation, str(option.name), value)

    def option(*words: str, **more: Any) -> click.Parameter:
        return click.Option([*words], callback=of_session, expose_value=False, **more)

    return [
        option(
            "--tenant",
            metavar="NAME",
            help=f"Act in this tenant; default {_DEFAULTS['tenant']}.",
        ),
        option(
            "--actor",
            metavar="NAME",
            help=f"Act as this person; default {_DEFAULTS['actor']}. LOCKSIDE_ACTOR set to nothing "
            "means the system itself.",
        ),
        option("--json", is_flag=True, help="Print JSON on stdout, for errors as well."),
    ]


def quieten() -> None:
    """Log only warnings and errors, which somebody at a terminal should see."""
    from lockside.session.configuration import configure_logs

    configure_logs("WARNING")
