"""Where does a consumer of kafka-python begin? BOOTSTRAP, then GROUP TOPIC POLICY, again and again."""
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from kafka import KafkaConsumer, TopicPartition


def run(bootstrap, group, topic, policy):
    c = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset=policy, max_poll_records=1)
    tp = TopicPartition(topic, 0)
    try:
        end, quiet = time.time() + 12, None
        while time.time() < end:
            for records in c.poll(timeout_ms=100).values():
                for r in records:
                    return str(r.offset)
            if c.assignment() != {tp}:
                continue
            if quiet is None:
                quiet = time.time()
            elif time.time() - quiet > 1.5:
                return str(c.position(tp))
        return "nothing"
    except Exception as e:
        return type(e).__name__
    finally:
        c.close()


def patient(*case):
    # A consumer that does not get its partition now and then is not the subject.
    for _ in range(4):
        outcome = run(*case)
        if outcome != "nothing":
            break
    return outcome


cases = [sys.argv[i : i + 3] for i in range(2, len(sys.argv), 3)]
with ThreadPoolExecutor(6) as pool:
    for (group, topic, policy), at in zip(cases, pool.map(lambda c: patient(sys.argv[1], *c), cases)):
        print(group, policy, at, flush=True)
