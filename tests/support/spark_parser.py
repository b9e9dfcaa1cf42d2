"""A program that runs on Spark's Python: reads statements as JSON, and says of each what Spark's parser makes of it.

No Spark is started, just its parser, which is that of Databricks: six seconds for hundreds of statements.
"""

import json
import re
import sys

from py4j.protocol import Py4JJavaError
from pyspark.java_gateway import launch_gateway

CALLED = re.compile(r'UnresolvedFunction","num-children":\d+,"nameParts":"\[(.*?)\]"')
DIVIDED = "catalyst.expressions.Divide"

gateway = launch_gateway()
parser = gateway.jvm.org.apache.spark.sql.execution.SparkSqlParser()


def judged(statement: str) -> dict[str, object]:
    """Why the parser refuses the statement, or the functions and divisions in it."""
    try:
        plan = parser.parsePlan(statement).toJSON()
    except Py4JJavaError as error:
        return {"refused": error.java_exception.getMessage().strip().partition("\n")[0]}
    return {"uses": sorted({*CALLED.findall(plan), *["/"] * (DIVIDED in plan)})}


answers = [judged(statement) for statement in json.load(sys.stdin)]
gateway.shutdown()
sys.stdout.write("\n" + json.dumps(answers))
