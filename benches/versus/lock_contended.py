# Two threads count up one shared number under one lock.
import json
import sys
import threading
import time

n = 1_000_000
lock = threading.Lock()
c = 0


def add(n):
    global c
    for _ in range(n):
        lock.acquire()
        c += 1
        lock.release()


t = time.perf_counter()
threads = [threading.Thread(target=add, args=(n // 2,)) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
s = time.perf_counter() - t
if c != n:
    sys.exit(f"counted {c}")
print(json.dumps({"workload": "lock_contended", "n": n, "seconds": s}))
