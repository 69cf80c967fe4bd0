"""Prints what it consumes, a JSON object a line, with auto commit."""
import json
import sys

from kafka import KafkaConsumer

servers, topic, group, reset, interval_ms = sys.argv[1:6]
consumer = KafkaConsumer(
    topic,
    bootstrap_servers=servers,
    group_id=group,
    auto_offset_reset=reset,
    enable_auto_commit=True,
    auto_commit_interval_ms=int(interval_ms),
    session_timeout_ms=6000,
    heartbeat_interval_ms=500,
)
for record in consumer:
    value = json.loads(record.value)
    print(json.dumps({"offset": record.offset, "number": value["number"]}), flush=True)
