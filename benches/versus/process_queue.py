# One process puts numbers into a queue and another one gets them; the sum is checked.
import json
import multiprocessing
import sys
import time

n = 200_000


def produce(q):
    for i in range(n):
        q.put(i)


def consume(q, sums):
    total = 0
    for _ in range(n):
        total += q.get()
    sums.put(total)


context = multiprocessing.get_context("fork")
q = context.Queue()
sums = context.Queue()
t = time.perf_counter()
processes = [context.Process(target=produce, args=(q,)), context.Process(target=consume, args=(q, sums))]
for process in processes:
    process.start()
total = sums.get()
for process in processes:
    process.join()
s = time.perf_counter() - t
if total != n * (n - 1) // 2:
    sys.exit(f"the sum is {total}")
print(json.dumps({"workload": "process_queue", "n": n, "seconds": s}))
