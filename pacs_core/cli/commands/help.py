"""``pacs help``: what a command does, or what holds for all of them."""

from pacs_core.cli.errors import UsageError
from pacs_core.cli.manual import TOPICS, explain_topic
from pacs_core.cli.output import print_table


def show_help(*topic: str) -> None:
    """Explain a command, as ``pacs COMMAND --help`` does, or a topic; without one, list topics.

    Parameters
    ----------
    topic
        Words of a command, or one of the topics.
    """
    if not topic:
        print_table(["TOPIC", ""], list(TOPICS.items()))
        return
    if topic[0] in TOPICS and len(topic) == 1:
        print(explain_topic(topic[0]))
        return
    from pacs_core.cli.application import build_app_for

    app = build_app_for([*topic, "--help"])
    found = app
    for word in topic:
        if word.startswith("-") or word not in found:
            known = f"; topics are {', '.join(TOPICS)}" if len(topic) == 1 else ""
            raise UsageError(f"there is neither a command nor a topic {' '.join(topic)!r}{known}")
        found = found[word]
    app.help_print(list(topic))
