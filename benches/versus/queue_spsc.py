# One producer and one consumer share a bounded queue; the sum of the items is checked.
import json
import queue
import sys
import threading
import time

n = 1_000_000
pairs = 1
q = queue.Queue(1024)
sums = []


def produce(first, last):
    for i in range(first, last):
        q.put(i)


def consume(count):
    total = 0
    for _ in range(count):
        total += q.get()
    sums.append(total)


t = time.perf_counter()
threads = []
for i in range(pairs):
    ends = (n // pairs * i, n // pairs * (i + 1))
    threads.append(threading.Thread(target=produce, args=ends))
for _ in range(pairs):
    threads.append(threading.Thread(target=consume, args=(n // pairs,)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
s = time.perf_counter() - t
if sum(sums) != n * (n - 1) // 2:
    sys.exit(f"the sum is {sum(sums)}")
print(json.dumps({"workload": "queue_spsc", "n": n, "seconds": s}))
