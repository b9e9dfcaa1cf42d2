"""Messages of a queue that could not be worked off now."""

from collections.abc import Sequence
from functools import cache


def hand_back(messages: Sequence[tuple[str, str]], seconds: int) -> None:
    """Let messages, each given by the ARN of its queue and its receipt, be handed over again after so many seconds.

    Otherwise that happens when their visibility times out, which is many times what a function may take, and in a
    FIFO queue keeps all that are behind them in their group.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client("sqs")

    @cache
    def address(queue: str) -> str:
        *_, account, name = queue.split(":")
        return str(client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"])

    for queue, receipt in messages:
        try:
            client.change_message_visibility(QueueUrl=address(queue), ReceiptHandle=receipt, VisibilityTimeout=seconds)
        except (BotoCoreError, ClientError, ValueError):  # then it happens later
            return
