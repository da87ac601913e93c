# The counting loop, half of it on each of two threads.
import json
import sys
import threading
import time

counted = []


def count(n):
    v = 0
    for _ in range(n):
        v += 1
    counted.append(v)


n = 20_000_000
t = time.perf_counter()
threads = [threading.Thread(target=count, args=(n // 2,)) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
s = time.perf_counter() - t
if sum(counted) != n:
    sys.exit(f"counted {sum(counted)}")
print(json.dumps({"workload": "count_2t", "n": n, "seconds": s}))
