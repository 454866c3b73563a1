"""``onepass doctor``."""

from __future__ import annotations

import json

import click

from onepass._printable import counted
from onepass.cli._tables import console, escape, table
from onepass.doctor import diagnose, gather

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table, with all facts collected.")
def command(as_json: bool) -> None:
    """Check Python, packages, driver, GPUs and every TensorRT, and suggest fixes.

    Each line is ok, a warning (a feature that may not be needed is unavailable) or an error (an installed component
    does not work), with the command that fixes it on this system. The exit status is 1 if there is an error. Every
    installed TensorRT is imported; nothing runs on a GPU.
    """
    facts = gather()
    findings = diagnose(facts)
    if as_json:
        click.echo(json.dumps({"findings": [each.to_json() for each in findings], "facts": facts.to_json()}, indent=2))
    else:
        out = console()
        rows = table("", "", "component", "result")
        for each in findings:
            style = _STYLES[each.level]
            rows.add_row(f"[{style}]{each.level}[/{style}]", escape(each.subject), escape(each.message))
        out.print(rows)
        # Below the table, where no command is broken into lines that cannot be pasted.
        for each in (finding for finding in findings if finding.mend):
            out.print(f"\n[bold]To fix {escape(each.subject)}:[/bold]")
            for line in each.mend:
                out.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
        errors, warnings = (sum(each.level == level for each in findings) for level in ("error", "warning"))
        out.print(f"\n{counted(errors, 'error')}, {counted(warnings, 'warning')}", markup=False)
    click.get_current_context().exit(int(any(each.level == "error" for each in findings)))
