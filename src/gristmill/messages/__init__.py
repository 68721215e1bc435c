"""The words of every message a person may read, in English and Chinese.

One file per area holds its part of the catalogue; a message is found by its code and filled with facts.
"""

from collections.abc import Mapping

from gristmill.messages import (
    api,
    celery,
    cli,
    client,
    datasets,
    documents,
    embed_images,
    engines,
    images,
    index,
    metadata,
    monitoring,
    rq,
    schedules,
    settings,
    steps,
    tasks,
    versions,
    webhooks,
    workflows,
)
from gristmill.messages.model import Message

__all__ = ["CATALOGUE", "LANGUAGES", "Message", "render"]

LANGUAGES = ("en", "zh")

CATALOGUE: Mapping[str, Message] = {
    **api.MESSAGES,
    **celery.MESSAGES,
    **cli.MESSAGES,
    **client.MESSAGES,
    **datasets.MESSAGES,
    **documents.MESSAGES,
    **embed_images.MESSAGES,
    **engines.MESSAGES,
    **images.MESSAGES,
    **index.MESSAGES,
    **metadata.MESSAGES,
    **monitoring.MESSAGES,
    **rq.MESSAGES,
    **schedules.MESSAGES,
    **settings.MESSAGES,
    **steps.MESSAGES,
    **tasks.MESSAGES,
    **versions.MESSAGES,
    **workflows.MESSAGES,
    **webhooks.MESSAGES,
}


class _Facts(dict[str, object]):
    """Leaves an unknown placeholder visible instead of failing while an error is being reported."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def render(code: str, facts: Mapping[str, object], language: str = "en") -> str:
    """The message ``code`` filled with ``facts``; an unknown code is shown as it is, with its facts."""
    message = CATALOGUE.get(code)
    if message is None:
        return f"{code} {dict(facts)}" if facts else code
    template = message.zh if language == "zh" else message.en
    return template.format_map(_Facts(facts))
