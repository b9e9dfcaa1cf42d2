"""Messages of a queue that could not be worked off now."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache

_MOST_TOGETHER = 10


def hand_back(messages: Sequence[tuple[str, str, int]]) -> None:
    """Let messages, each given by the ARN of its queue, its receipt and seconds, be handed over again after these.

    Otherwise that happens when their visibility times out, which is more than a function may take, and in a FIFO queue
    keeps all that are behind them in their group. It is what becomes of those that cannot be handed back.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    # A function calls this last, when it has seconds left.
    patience = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
    client = boto3.client("sqs", config=patience)

    @cache
    def address(queue: str) -> str:
        *_, account, name = queue.split(":")
        return str(client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"])

    for queue in dict.fromkeys(queue for queue, _, _ in messages):
        given = [(receipt, seconds) for of_queue, receipt, seconds in messages if of_queue == queue]
        for start in range(0, len(given), _MOST_TOGETHER):
            with suppress(BotoCoreError, ClientError, ValueError):
                client.change_message_visibility_batch(  # which tells of each apart what came of it
                    QueueUrl=address(queue),
                    Entries=[
                        {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
                        for place, (receipt, seconds) in enumerate(given[start : start + _MOST_TOGETHER])
                    ],
                )
