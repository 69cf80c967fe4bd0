"""Produces, consumes and commits with librdkafka, the library of kcat."""
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

servers, topic, group = sys.argv[1:4]
producer = Producer({"bootstrap.servers": servers})
for n in range(10):
    producer.produce(topic, f"record {n}".encode())
assert producer.flush(30) == 0
consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False})
consumer.subscribe([topic])
seen = 0
while seen < 6:
    message = consumer.poll(30)
    assert message is not None and message.error() is None, message
    seen += 1
consumer.commit(offsets=[TopicPartition(topic, 0, 6)], asynchronous=False)
consumer.close()
print("read", seen)
