"""Secrets by their ARNs, in AWS Secrets Manager."""

from dropledger.core.errors import ConfigurationError, NotInstalled, Unavailable

_ATTEMPTS = 5


def text_of_secret(arn: str) -> str:
    """The present text of a secret.

    Raises:
        ConfigurationError: it is not there, is no text, or is not for these credentials.
        Unavailable: no answer comes.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
    except ImportError as error:
        raise NotInstalled(f"the secret {arn} cannot be read without boto3", "aws") from error
    # boto3 tries again what is worth it (throttling, 5xx, broken connections), with growing pauses.
    config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": _ATTEMPTS})
    region = arn.split(":")[3] if arn.count(":") >= 6 else None  # a secret may lie in another region than the function
    try:
        found = boto3.client("secretsmanager", region_name=region, config=config).get_secret_value(SecretId=arn)
    except ClientError as error:
        if error.response["ResponseMetadata"].get("HTTPStatusCode", 0) >= 500 or "Throttling" in str(error):
            raise Unavailable(f"the secret {arn} could not be read", why=str(error), hint="try again later") from error
        raise ConfigurationError(
            f"the secret {arn} cannot be read",
            why=str(error),
            hint="check the ARN (as in DATABRICKS_SECRET_ARN), and that its readers may secretsmanager:GetSecretValue",
        ) from error
    except (NoCredentialsError, NoRegionError) as error:
        raise ConfigurationError(
            f"the secret {arn} cannot be read",
            why=str(error),
            hint="configure AWS credentials and region as for the AWS CLI",
        ) from error
    except BotoCoreError as error:
        raise Unavailable(f"the secret {arn} could not be read", why=str(error), hint="try again later") from error
    if "SecretString" not in found:
        raise ConfigurationError(f"the secret {arn} is no text", hint="store it as text, such as JSON")
    return str(found["SecretString"])
