"""``gristmill alerts``: what somebody should know of."""

import click

from gristmill.cli.command import command
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns, when

__all__ = ["alerts"]

_COLORS = {"critical": "red", "warning": "yellow"}


@command(
    examples="""
    gristmill alerts
    gristmill alerts --all --json
    """
)
@click.option("--all", "resolved", is_flag=True, help="Also those that are over; they are kept for 30 days.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most lines with --all.")
def alerts(invocation: Invocation, *, resolved: bool, limit: int) -> int:
    """Show the alerts that hold at the moment.

    They are what a worker or the API found when it last looked; without either, nobody looks. Exit code 1 if one of
    them is critical.
    """
    from gristmill.clock import to_rfc3339
    from gristmill.monitoring.alerts import alert_message

    with invocation.app() as app:
        found = app.alerts.latest(limit=limit) if resolved else app.alerts.firing()
    invocation.answer(
        {
            "alerts": [
                {
                    "id": alert.id,
                    "rule": alert.rule,
                    "severity": alert.severity,
                    "subject": alert.subject,
                    "state": "firing" if alert.resolved_at is None else "resolved",
                    "message": alert_message(alert.rule, alert.facts, invocation.language),
                    "facts": dict(alert.facts),
                    "fired_at": to_rfc3339(alert.fired_at),
                    "resolved_at": to_rfc3339(alert.resolved_at),
                }
                for alert in found
            ]
        }
    )
    if not found:
        invocation.say("cli_alerts_none")
    rows = [
        (
            click.style(alert.severity, fg=_COLORS[alert.severity]),
            alert.rule,
            when(alert.fired_at),
            when(alert.resolved_at),
            alert_message(alert.rule, alert.facts, invocation.language),
        )
        for alert in found
    ]
    for line in columns(rows, head=("SEVERITY", "RULE", "SINCE", "UNTIL", "WHAT")) if rows else []:
        invocation.write(line)
    return int(any(alert.severity == "critical" and alert.resolved_at is None for alert in found))
