"""Messages to a topic of Amazon SNS."""

from dropledger.core.errors import ConfigurationError, NotInstalled, Unavailable
from dropledger.core.ports.notifier import Message

_MOST_SUBJECT = 100


class Topic:
    """Publishes to `sns:<arn>`: the subject is for mail, the message is JSON."""

    def __init__(self, address: str) -> None:
        self._arn = address.removeprefix("sns:")
        if self._arn.count(":") != 5:
            hint = "write it like sns:arn:aws:sns:eu-west-1:123456789012:name"
            raise ConfigurationError("the address is no ARN of a topic", hint=hint)

    def send(self, message: Message) -> None:
        """Publish it; SNS has it then."""
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise NotInstalled("SNS cannot be used without boto3", "aws") from error
        patience = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
        to = {"TopicArn": self._arn, "Subject": _subject(message.title), "Message": message.document.decode()}
        if self._arn.endswith(".fifo"):
            to |= {"MessageGroupId": "dropledger", "MessageDeduplicationId": message.notices[0].alert_id}
        try:
            boto3.client("sns", region_name=self._arn.split(":")[3], config=patience).publish(**to)
        except ClientError as error:  # its words name the topic
            raise _not_taken(str(error.response["Error"].get("Code", "ClientError"))) from None
        except (BotoCoreError, ValueError) as error:
            raise _not_taken(type(error).__name__) from None


def _subject(title: str) -> str:
    """As SNS takes it: short, of printable ASCII."""
    return title.encode("ascii", "replace").decode()[:_MOST_SUBJECT]


def _not_taken(why: str) -> Unavailable:
    hint = "check that the topic is there, and that these credentials may sns:Publish to it"
    return Unavailable("SNS did not take the message", why=why, hint=hint)
