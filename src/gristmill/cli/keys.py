"""``gristmill keys``: who may use the API."""

import click

from gristmill.cli.command import command, family
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns, key_json, when

__all__ = ["keys"]

keys = family(
    "keys",
    summary="Create, list and revoke API keys.",
    examples="""
    gristmill keys create laptop --scope write
    gristmill keys list
    """,
)


@command(
    parent=keys,
    name="create",
    examples="""
    gristmill keys create laptop
    gristmill keys create dashboard --scope read --json
    """,
)
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["read", "write", "admin"]),
    default="write",
    show_default=True,
    help="What it may do; each includes those before it.",
)
def create(invocation: Invocation, name: str, scope: str) -> None:
    """Create an API key and show its secret, this once."""
    with invocation.app() as app:
        key, secret = app.keys.create(name, scope)
    invocation.say("cli_key_created", name=name, scope=scope, key_id=key.id)
    invocation.write(secret)
    invocation.answer({**key_json(key), "key": secret})


@command(
    parent=keys,
    name="list",
    examples="""
    gristmill keys list
    gristmill keys list --json
    """,
)
def list_keys(invocation: Invocation) -> None:
    """List all keys, revoked ones too; secrets are not kept."""
    with invocation.app() as app:
        found = app.keys.all()
    invocation.answer({"keys": [key_json(key) for key in found]})
    if not found:
        invocation.say("cli_no_keys")
        return
    rows = [(key.id, key.name, key.scope.value, when(key.created_at), when(key.revoked_at)) for key in found]
    for line in columns(rows, head=("KEY", "NAME", "SCOPE", "CREATED", "REVOKED")):
        invocation.write(line)


@command(
    parent=keys,
    name="revoke",
    examples="""
    gristmill keys revoke 0199f2c1-7f0a-7c55-b1a5-2f6a4c0d9e11
    """,
)
@click.argument("key_id")
def revoke(invocation: Invocation, key_id: str) -> None:
    """Refuse a key from now on."""
    with invocation.app() as app:
        app.keys.revoke(key_id)
    invocation.say("cli_key_revoked", key_id=key_id)
    invocation.answer({"revoked": key_id})
