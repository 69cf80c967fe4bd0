"""Sends {"number": N} for N = FIRST … LAST, as the experiment's producer does."""
import json
import sys

from kafka import KafkaProducer

servers, topic, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
producer = KafkaProducer(bootstrap_servers=servers, value_serializer=lambda v: json.dumps(v).encode())
for n in range(first, last + 1):
    producer.send(topic, {"number": n}).get(timeout=30)
producer.close()
