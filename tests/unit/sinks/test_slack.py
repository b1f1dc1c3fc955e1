"""Documents for Slack."""

from losant_tokens.sinks import Message
from losant_tokens.sinks._slack import slack_document


def test_names_are_data() -> None:
    """A name mentions nobody, links to nothing and formats nothing."""
    name = "<!here> <@U1> <https://a.example|b> & *bold* :smile: @channel"
    document = slack_document(Message(id="1", title="1 token", lines=[name]))

    assert document == {
        "text": "1 token",
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "1 token", "emoji": False}},
            {
                "type": "section",
                "text": {
                    "type": "plain_text",
                    "text": "&lt;!here&gt; &lt;@U1&gt; &lt;https://a.example|b&gt; &amp; *bold* "
                    ":smile: @\u2060channel",
                    "emoji": False,
                },
            },
        ],
    }


def test_limits() -> None:
    """A document has at most 50 blocks with at most 3000 characters, and counts the lines left."""
    lines = [f"{number} {'&' * 300}" for number in range(1000)]
    document = slack_document(Message(id="1", title="<" * 200, lines=["", *lines]))
    texts = [block["text"]["text"] for block in document["blocks"]]
    shown = [line for text in texts[1:-1] for line in text.split("\n")]

    assert len(texts) == 50
    assert len(texts[0]) <= 150
    assert texts[0].endswith("&lt;...")
    assert max(map(len, texts)) <= 3000
    assert all(text for text in texts)
    assert texts[-1] == f"{1001 - len(shown)} more lines"


def test_one_more_line() -> None:
    """One line that is left out is counted in the singular."""
    lines = ["&" * 600] * (48 * 6 + 1)
    document = slack_document(Message(id="1", title="t", lines=lines))

    assert document["blocks"][-1]["text"]["text"] == "1 more line"


def test_title_alone() -> None:
    """A message without lines is one block."""
    assert len(slack_document(Message(id="1", title="t"))["blocks"]) == 1
